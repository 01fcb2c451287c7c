"""One open_clip train step on PyTorch, timed: the peer of `clipwright bench step`.

    python3 bench/open_clip_step.py --model ViT-S-32 --batch 32 --context 77 --steps 5 --threads 2 [--precision f32|bf16]

Random images and tokens, forward, ClipLoss, backward, clipping at 1, AdamW with open_clip's defaults. Prints JSON.
"""

import argparse
import json
import resource
import statistics
import sys
import time
import types

parser = argparse.ArgumentParser()
parser.add_argument("--model", default="ViT-S-32")
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--context", type=int, default=77)
parser.add_argument("--steps", type=int, default=5)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--precision", choices=["f32", "bf16"], default="f32")
args = parser.parse_args()

import torch

# Where torchvision was built for another torch, its operator registrations fail; they are not needed.
try:
    import torchvision  # noqa: F401
except Exception:
    for name in [name for name in sys.modules if name.startswith("torchvision")]:
        del sys.modules[name]
    sys.modules["torchvision._meta_registrations"] = types.ModuleType("torchvision._meta_registrations")
import open_clip
from open_clip import ClipLoss

torch.set_num_threads(args.threads)
torch.manual_seed(0)
model = open_clip.create_model(args.model, force_context_length=args.context)
model.train()
size = model.visual.image_size
size = size if isinstance(size, int) else size[0]
vocabulary = model.vocab_size
images = torch.randn(args.batch, 3, size, size)
tokens = torch.randint(1, vocabulary, (args.batch, args.context))


def plain(name, parameter):
    return parameter.ndim < 2 or "bn" in name or "ln" in name or "bias" in name or "logit_scale" in name


named = list(model.named_parameters())
optimizer = torch.optim.AdamW(
    [
        {"params": [p for n, p in named if plain(n, p)], "weight_decay": 0.0},
        {"params": [p for n, p in named if not plain(n, p)], "weight_decay": 0.2},
    ],
    lr=1e-4,
    betas=(0.9, 0.98),
    eps=1e-6,
)
loss_of = ClipLoss()


def step():
    optimizer.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.precision == "bf16"):
        image_features, text_features, scale = model(images, tokens)[:3]
        loss = loss_of(image_features, text_features, scale)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, norm_type=2.0)
    optimizer.step()
    with torch.no_grad():
        model.logit_scale.clamp_(0, 4.6051702)
    return loss.item()


seconds = []
for i in range(2 + args.steps):
    start = time.perf_counter()
    step()
    if i >= 2:
        seconds.append(time.perf_counter() - start)
print(
    json.dumps(
        {
            "imagesPerSecond": args.batch / statistics.median(seconds),
            "seconds": seconds,
            "peakMemoryBytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "torch": torch.__version__,
            "open_clip": open_clip.__version__,
        }
    )
)
