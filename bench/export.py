"""Exports of a run, loaded by the libraries that they are for, against the run's own vectors.

    python3 bench/export.py RUN IMAGES TEXTS     # needs torch, open_clip_torch 3.x, transformers 5, pillow; npm run build

IMAGES is a folder of pictures, TEXTS a file, one a line. Exports RUN to open_clip and to hf into a temporary folder, embeds
pictures and texts there with preprocessing ("own crop": with transformers' CLIPImageProcessor instead of the export's), and
prints the least and the mean cosine to what `clipwright embed RUN` gives.
A run's own folder must be refused by open_clip's local-dir.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import open_clip
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoTokenizer, CLIPImageProcessor, CLIPModel

CLI = ["node", str(Path(__file__).parents[1] / "dist" / "src" / "cli" / "main.js")]


def clipwright(*words):
    done = subprocess.run([*CLI, *words], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"clipwright {' '.join(words)}: {done.stderr}")
    return done.stdout


def unit(rows):
    return torch.nn.functional.normalize(rows.float(), dim=-1)


@torch.no_grad()
def by_open_clip(folder, images, texts):
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    model.eval()
    pictures = [model.encode_image(preprocess(Image.open(path))[None]) for path in images]
    return {"images": unit(torch.cat(pictures)), "texts": unit(model.encode_text(tokenizer(texts)))}


@torch.no_grad()
def by_transformers(folder, images, texts, processor_class):
    model = CLIPModel.from_pretrained(folder).eval()
    processor = processor_class.from_pretrained(folder, trust_remote_code=processor_class is AutoImageProcessor)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    pixels = [processor(Image.open(path), return_tensors="pt")["pixel_values"] for path in images]
    length = model.config.text_config.max_position_embeddings
    tokens = tokenizer(texts, padding="max_length", truncation=True, max_length=length, return_tensors="pt")
    tokens = {key: tokens[key] for key in ("input_ids", "attention_mask")}
    pictures = torch.cat([model.get_image_features(pixel_values=p).pooler_output for p in pixels])
    return {"images": unit(pictures), "texts": unit(model.get_text_features(**tokens).pooler_output)}


def refuses_runs(run):
    try:
        open_clip.create_model_and_transforms(f"local-dir:{run}")
    except Exception as error:
        return f"refused ({type(error).__name__})"
    return "TAKEN FOR A MODEL"


def main(run, images, texts_file):
    files = sorted(path for path in Path(images).iterdir() if path.suffix in (".jpg", ".png"))
    texts = [line for line in Path(texts_file).read_text().split("\n") if line.strip()]
    lines = clipwright("embed", run, "--images", images, "--texts", texts_file).splitlines()
    rows = [json.loads(line) for line in lines]
    named = {row["key"]: row["embedding"] for row in rows if row["kind"] == "image"}
    own = {
        "images": torch.tensor([named[path.stem] for path in files]),
        "texts": torch.tensor([row["embedding"] for row in rows if row["kind"] == "text"]),
    }
    with tempfile.TemporaryDirectory() as work:
        forms = {
            "open_clip": ("open_clip", by_open_clip, ()),
            "hf": ("hf", by_transformers, (AutoImageProcessor,)),
            "hf, own crop": ("hf", by_transformers, (CLIPImageProcessor,)),
        }
        for name, (to, by, rest) in forms.items():
            folder = Path(work) / to
            if not folder.exists():
                clipwright("export", run, "--to", to, "--out", str(folder))
            got = by(folder, files, texts, *rest)
            for kind, rows in own.items():
                cosines = (unit(rows) * got[kind]).sum(-1)
                worst = files[int(cosines.argmin())].name if kind == "images" else repr(texts[int(cosines.argmin())])
                low = int((cosines < 0.9999).sum())
                print(
                    f"{name:12} {kind:6} {len(rows):5}  least {cosines.min():.7f} ({worst})  "
                    f"mean {cosines.mean():.7f}  below 0.9999: {low}"
                )
    print(f"local-dir:RUN  {refuses_runs(run)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
