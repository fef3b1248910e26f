"""Loads the folders that write-models.mjs wrote with transformers, and compares what they compute with expected.json."""

import json
import pathlib
import sys

import torch
import transformers

TOLERANCE = 1e-4
folder = pathlib.Path(sys.argv[1])
failures = 0
checks = 0


def check(title: str, passed: bool, detail: str) -> None:
    global checks, failures
    checks += 1
    failures += not passed
    print(f"{'ok  ' if passed else 'FAIL'} {title}: {detail}", flush=True)


def load(model_class, place):
    model, info = model_class.from_pretrained(place, output_loading_info=True, dtype=torch.float32)
    left = {key: sorted(value) for key, value in info.items() if value}
    check(f"{place.name} loads as {model_class.__name__}", not left, f"{left or 'every weight in its place'}")
    return model.eval()


def is_close(title: str, ours: torch.Tensor, theirs: torch.Tensor) -> None:
    error = (ours - theirs).abs().max().item()
    check(title, ours.shape == theirs.shape and error <= TOLERANCE, f"largest difference {error:.1e}, of {ours.std():.1e}")


torch.set_grad_enabled(False)
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
print(f"transformers {transformers.__version__}, torch {torch.__version__}")

for place in sorted(folder.glob("*-policy")):
    expected = json.loads((place / "expected.json").read_text())
    model = load(transformers.AutoModelForCausalLM, place)
    ours = [torch.tensor(one["logits"]) for one in expected["logits"]]
    theirs = [model(torch.tensor([one["tokens"]])).logits[0] for one in expected["logits"]]
    is_close(f"{place.name} logits", torch.cat(ours), torch.cat(theirs))
    # Padded on the right to one batch, as the reward models are read: what precedes must not change.
    longest = max(len(one["tokens"]) for one in expected["logits"])
    rows = [one["tokens"] + [model.config.pad_token_id] * (longest - len(one["tokens"])) for one in expected["logits"]]
    batch = model(torch.tensor(rows)).logits
    is_close(f"{place.name} logits, as a batch", torch.cat(ours), torch.cat([b[: len(o)] for b, o in zip(batch, ours)]))
    for index, one in enumerate(expected["greedy"]):
        made = model.generate(
            torch.tensor([one["prompt"]]), attention_mask=torch.ones(1, len(one["prompt"])), do_sample=False, max_new_tokens=40
        )[0, len(one["prompt"]) :].tolist()
        check(f"{place.name} greedy continuation {index}", made == one["response"], f"{len(made)} tokens")

for place in sorted(folder.glob("*-reward-model")):
    expected = json.loads((place / "expected.json").read_text())["rewards"]
    model = load(transformers.AutoModelForSequenceClassification, place)
    ours = torch.tensor(expected["rewards"])
    alone = torch.cat([model(torch.tensor([tokens])).logits[:, 0] for tokens in expected["tokens"]])
    is_close(f"{place.name} rewards", ours, alone)
    tokenizer = transformers.AutoTokenizer.from_pretrained(place)
    tokenizer.padding_side = "right"
    batch = tokenizer.pad({"input_ids": expected["tokens"]}, return_tensors="pt")
    is_close(f"{place.name} rewards, padded by its tokenizer", ours, model(**batch).logits[:, 0])

texts = json.loads((folder / "texts.json").read_text())
for place in sorted(path for path in folder.iterdir() if path.is_dir()):
    tokenizer = transformers.AutoTokenizer.from_pretrained(place)
    wrong = [one["text"] for one in texts if tokenizer(one["text"]).input_ids != one["tokens"]]
    count = sum(len(one["tokens"]) for one in texts)
    check(f"{place.name} token ids", not wrong, f"{len(texts)} texts, {count} tokens, different: {wrong[:5]!r}")
    back = [one["text"] for one in texts if tokenizer.decode(one["tokens"]) != one["text"]]
    check(f"{place.name} decoded text", not back, f"different: {back[:5]!r}")
    special = (tokenizer.eos_token_id, tokenizer.pad_token_id, len(tokenizer))
    config = transformers.AutoConfig.from_pretrained(place)
    wanted = (config.eos_token_id, config.pad_token_id, config.vocab_size)
    check(f"{place.name} special tokens", special == wanted, f"end-of-text, padding, size: {special}, configured {wanted}")

print(f"{checks - failures} passed, {failures} failed")
sys.exit(1 if failures else 0)
