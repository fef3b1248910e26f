"""Loads what check-pretrained.mjs stored of a pretrained model with transformers, and compares it with reference.json."""

import json
import pathlib
import sys

import safetensors.torch
import torch
import transformers

folder = pathlib.Path(sys.argv[1])
failures = 0
checks = 0


def check(title: str, passed: bool, detail: str) -> None:
    global checks, failures
    checks += 1
    failures += not passed
    print(f"{'ok  ' if passed else 'FAIL'} {title}: {detail}", flush=True)


transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
model, info = transformers.AutoModelForCausalLM.from_pretrained(folder / "stored", output_loading_info=True, dtype=torch.float32)
left = {key: sorted(value) for key, value in info.items() if value}
check("stored model loads", not left, f"{left or 'every weight in its place'}")
weights = safetensors.torch.load_file(folder / "weights.safetensors")
state = model.state_dict()
error = max((state[name] - weight).abs().max().item() for name, weight in weights.items())
check("stored weights", error <= 1e-6, f"{len(weights)} tensors, largest difference {error}")

texts = json.loads((folder / "texts.json").read_text())["texts"]
reference = json.loads((folder / "reference.json").read_text())
tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "stored")
wrong = [text[:80] for text, expected in zip(texts, reference["template"]) if tokenizer(text).input_ids != expected]
check("stored tokenizer, token ids", not wrong, f"{len(texts)} texts; different: {wrong[:3]!r}")
wrong = [
    chat["conversation"]
    for chat in reference["chats"]
    if tokenizer.apply_chat_template(chat["conversation"], tokenize=False, add_generation_prompt=chat["add_generation_prompt"])
    != chat["text"]
]
check("stored chat template", not wrong, f"{len(reference['chats'])} chats; different: {wrong!r}")
special = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)
configured = (model.config.bos_token_id, model.config.eos_token_id, model.config.pad_token_id)
check("stored special tokens", special == configured == (1, 2, 2), f"start, end, padding: {special}, configured {configured}")

print(f"{checks - failures} passed, {failures} failed")
sys.exit(1 if failures else 0)
