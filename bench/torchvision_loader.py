"""torchvision's or timm's training transform on Pillow, timed: the peer of bench/loader.ts, which runs it.

    python3 bench/torchvision_loader.py --images FOLDER --count 192 --pipeline torchvision|timm

Reads, decodes, random resized crop to 224 (bilinear), flip, RandAugment of two operations at magnitude 9,
normalization to f32, batches of 32; one thread, no worker processes. Prints JSON.
"""

import argparse
import json
import resource
import time
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms as T

parser = argparse.ArgumentParser()
parser.add_argument("--images", type=Path, required=True)
parser.add_argument("--count", type=int, default=192)
parser.add_argument("--pipeline", choices=["torchvision", "timm"], required=True)
args = parser.parse_args()

torch.set_num_threads(1)
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
if args.pipeline == "torchvision":
    transform = T.Compose(
        [T.RandomResizedCrop(224), T.RandomHorizontalFlip(), T.RandAugment(2, 9), T.ToTensor(), T.Normalize(MEAN, STD)]
    )
else:
    from timm.data import create_transform

    transform = create_transform(
        224, is_training=True, auto_augment="rand-m9-n2", interpolation="bilinear", color_jitter=None, mean=MEAN, std=STD
    )


class Folder(Dataset):
    def __init__(self):
        files = [p for p in args.images.iterdir() if p.suffix.lower() in (".jpg", ".jpeg")]
        self.files = sorted(files)[: args.count]

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        with open(self.files[i], "rb") as file:
            return transform(Image.open(file).convert("RGB"))


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


loader = DataLoader(Folder(), batch_size=32, shuffle=True, drop_last=True, num_workers=0)
for _ in loader:
    pass
images, start, used = 0, time.perf_counter(), cpu()
for _ in range(6):
    for batch in loader:
        images += len(batch)
print(
    json.dumps(
        {"imagesPerCpuSecond": images / (cpu() - used), "imagesPerSecond": images / (time.perf_counter() - start)}
    )
)
