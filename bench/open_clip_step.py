"""One open_clip train step on PyTorch, timed: the peer of `clipwright bench step`.

    python3 bench/open_clip_step.py --model ViT-S-32 --batch 32 --context 77 --steps 5 --threads 2
    python3 bench/open_clip_step.py --device cuda --precision amp_bf16 --compile --model ViT-B-16 --batch 1024

Random images and tokens in host memory, their way to the device, forward, ClipLoss, backward, clipping at 1, AdamW
with open_clip's defaults, reading the loss. Prints JSON. With settings as in open_clip's own training script
(open_clip_train/main.py): TF32 and cuDNN's benchmark on, pinned memory.
"""

import argparse
import json
import resource
import statistics
import sys
import time
import types

parser = argparse.ArgumentParser()
parser.add_argument("--model", default="ViT-S-32", help="open_clip's name, or a model's JSON")
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--context", type=int)
parser.add_argument("--image-size", type=int)
parser.add_argument("--steps", type=int, default=5)
parser.add_argument("--threads", type=int)
parser.add_argument("--precision", choices=["f32", "amp_bf16"], default="f32")
parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
parser.add_argument("--compile", action="store_true")
parser.add_argument("--grad-checkpointing", action="store_true")
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

if args.threads is not None:
    torch.set_num_threads(args.threads)
torch.manual_seed(0)
device = torch.device(args.device)
if device.type == "cuda":
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.deterministic = False

name = args.model
if name.endswith(".json"):
    open_clip.add_model_config(name)
    name = name.rsplit("/", 1)[-1][: -len(".json")]
options = {}
if args.context is not None:
    options["force_context_length"] = args.context
if args.image_size is not None:
    options["force_image_size"] = args.image_size
model = open_clip.create_model(name, device=device, **options)
model.train()
if args.grad_checkpointing:
    model.set_grad_checkpointing(True)
size = model.visual.image_size
size = size if isinstance(size, int) else size[0]
context = args.context if args.context is not None else model.context_length
vocabulary = model.vocab_size
pinned = device.type == "cuda"
images = torch.empty(args.batch, 3, size, size, pin_memory=pinned)
# Drawing a large batch would take longer than the steps: one image is repeated.
images.copy_(torch.randn(1, 3, size, size).expand_as(images))
tokens = torch.randint(1, vocabulary, (args.batch, context))
if pinned:
    tokens = tokens.pin_memory()


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
run = torch.compile(model) if args.compile else model


def step():
    batch = images.to(device, non_blocking=True)
    texts = tokens.to(device, non_blocking=True)
    optimizer.zero_grad()
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=args.precision == "amp_bf16"):
        image_features, text_features, scale = run(batch, texts)[:3]
        loss = loss_of(image_features, text_features, scale)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, norm_type=2.0)
    optimizer.step()
    with torch.no_grad():
        model.logit_scale.clamp_(0, 4.6051702)
    # Waits for the device.
    return loss.item()


WARM_UP = 3
seconds = []
first = None
for i in range(WARM_UP + args.steps):
    start = time.perf_counter()
    step()
    taken = time.perf_counter() - start
    if i == 0:
        first = taken
    if i >= WARM_UP:
        seconds.append(taken)
if device.type == "cuda":
    peak = torch.cuda.max_memory_allocated()
    where = torch.cuda.get_device_name()
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    where = "cpu"
print(
    json.dumps(
        {
            "imagesPerSecond": args.batch / statistics.median(seconds),
            "seconds": seconds,
            "firstStepSeconds": first,
            "peakMemoryBytes": peak,
            "device": where,
            "torch": torch.__version__,
            "open_clip": open_clip.__version__,
        }
    )
)
