"""Loads what write-adapters.mjs wrote with PEFT, and compares what it computes with expected.json. Writes adapters of PEFT's own
beside the same policy, and what they compute, for check-adapters.mjs."""

import json
import pathlib
import sys

import peft
import torch
import transformers

TOLERANCE = 1e-4
folder = pathlib.Path(sys.argv[1])
expected = json.loads((folder / "expected.json").read_text())
failures = 0
checks = 0


def check(title: str, passed: bool, detail: str) -> None:
    global checks, failures
    checks += 1
    failures += not passed
    print(f"{'ok  ' if passed else 'FAIL'} {title}: {detail}", flush=True)


def is_close(title: str, ours: torch.Tensor, theirs: torch.Tensor) -> None:
    error = (ours - theirs).abs().max().item()
    check(title, ours.shape == theirs.shape and error <= TOLERANCE, f"largest difference {error:.1e}, of {ours.std():.1e}")


def base(model_class, name: str):
    return model_class.from_pretrained(folder / name, dtype=torch.float32).eval()


def logits(model) -> torch.Tensor:
    return torch.cat([model(torch.tensor([text])).logits[0] for text in expected["texts"]])


torch.set_grad_enabled(False)
torch.manual_seed(0)
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
print(f"peft {peft.__version__}, transformers {transformers.__version__}, torch {torch.__version__}")

causal, classification = transformers.AutoModelForCausalLM, transformers.AutoModelForSequenceClassification
policy = base(causal, "policy")
plain = logits(policy)
adapted = peft.PeftModel.from_pretrained(policy, folder / "policy" / "adapters")
ours = torch.cat([torch.tensor(one).reshape(-1, policy.config.vocab_size) for one in expected["logits"]])
is_close("logits with our adapters", ours, logits(adapted))
moved = (ours - plain).abs().max().item()
check("our adapters matter", moved > 0.1, f"largest difference to the policy without them {moved:.1e}")
is_close("logits of our merged policy", ours, logits(base(causal, "policy/merged")))
is_close("logits as PEFT merges", ours, logits(adapted.merge_and_unload()))

reward = peft.PeftModel.from_pretrained(base(classification, "reward"), folder / "reward" / "adapters")
rewards = torch.cat([reward(torch.tensor([text])).logits[:, 0] for text in expected["texts"]])
is_close("rewards with our adapters and head", torch.tensor(expected["rewards"]), rewards)

# PEFT's own adapters, with a B that is not zero; and a new head.
settings = dict(r=5, lora_alpha=7, init_lora_weights=False)
theirs = peft.get_peft_model(
    base(causal, "policy"), peft.LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj", "up_proj", "o_proj"], **settings)
).eval()
theirs.save_pretrained(folder / "peft-policy")
scores = peft.get_peft_model(
    base(classification, "reward"), peft.LoraConfig(task_type="SEQ_CLS", target_modules=["k_proj", "v_proj"], use_rslora=True, **settings)
).eval()
torch.nn.init.normal_(scores.base_model.model.score.modules_to_save["default"].weight)
scores.save_pretrained(folder / "peft-reward")
computed = {
    "logits": logits(theirs).tolist(),
    "rewards": torch.cat([scores(torch.tensor([text])).logits[:, 0] for text in expected["texts"]]).tolist(),
}
(folder / "peft.json").write_text(json.dumps(computed))

print(f"{checks - failures} passed, {failures} failed")
sys.exit(1 if failures else 0)
