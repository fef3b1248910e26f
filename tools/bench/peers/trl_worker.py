"""TRL's side of the benchmark of PPO: carries out commands, one JSON object a line, and answers each with one line.

The trainer runs on by itself; between two iterations a callback carries out commands until the next iteration is asked
for, and tells how long the last one took. See worker.mjs.
"""

import json
import os
import sys
import time

# What is printed is not an answer.
answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

import accelerate
import torch
import transformers
import trl
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer, TrainerCallback


def start(threads: int):
    torch.set_num_threads(threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return {module.__name__: module.__version__ for module in (torch, transformers, accelerate, trl)}


def load(policyFolder: str, rewardFolder: str, prompts: list[list[int]], newTokens: int, ppo: dict):
    global policy, reward_model, trainer
    folder_options = {"dtype": torch.float32, "attn_implementation": "sdpa"}
    policy = AutoModelForCausalLM.from_pretrained(policyFolder, **folder_options)
    reward_model, value_model = (
        AutoModelForSequenceClassification.from_pretrained(rewardFolder, **folder_options) for _ in range(2)
    )
    data = Dataset.from_dict({"input_ids": prompts})
    trainer = trl.PPOTrainer(
        args=trl.PPOConfig(
            output_dir=os.path.join(policyFolder, "trl"),
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            optim="adamw_torch_fused",
            weight_decay=0.0,
            learning_rate=ppo["learningRate"],
            per_device_train_batch_size=len(prompts),
            local_rollout_forward_batch_size=len(prompts),
            num_mini_batches=ppo["minibatches"],
            num_ppo_epochs=ppo["epochs"],
            total_episodes=1000 * len(prompts),
            response_length=newTokens,
            temperature=1.0,
            kl_coef=0.05,
            cliprange=ppo["clipEpsilon"],
            cliprange_value=ppo["valueClipEpsilon"],
            vf_coef=ppo["valueCoefficient"],
            gamma=ppo["gamma"],
            lam=ppo["gaeLambda"],
            num_sample_generations=0,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        processing_class=AutoTokenizer.from_pretrained(policyFolder),
        model=policy,
        ref_model=AutoModelForCausalLM.from_pretrained(policyFolder, **folder_options),
        reward_model=reward_model,
        value_model=value_model,
        train_dataset=data,
        eval_dataset=data,
        callbacks=[Iterations()],
    )
    # It prints the statistics of every iteration.
    trainer.callback_handler.pop_callback(transformers.PrinterCallback)


@torch.inference_mode()
def judge(tokens: list[list[int]]):
    """Of every token but the first, and the reward of the whole."""
    batch = torch.tensor(tokens)
    log_probs = torch.log_softmax(policy(batch[:, :-1]).logits, -1).gather(-1, batch[:, 1:, None])[..., 0]
    return {"logProbs": log_probs.tolist(), "rewards": reward_model(batch).logits[:, 0].tolist()}


def answer(result) -> None:
    print(json.dumps(result), file=answers, flush=True)


def carry_out_until(last: str) -> None:
    """Carries out commands up to this one. Ends the process where no more come."""
    for line in sys.stdin:
        request = json.loads(line)
        command = request.pop("command")
        if command == "iterate":
            return
        try:
            result = {"result": COMMANDS[command](**request)}
        except Exception as error:
            result = {"error": f"{type(error).__name__}: {error}"}
        answer(result)
        if command == last and "result" in result:
            return
    os._exit(0)


class Iterations(TrainerCallback):
    def wait(self) -> None:
        carry_out_until("iterate")
        self.began = time.perf_counter()

    def on_train_begin(self, *_, **__):
        self.wait()

    def on_step_end(self, *_, **__):
        answer({"result": {"seconds": time.perf_counter() - self.began}})
        self.wait()


COMMANDS = {function.__name__: function for function in (start, load, judge)}
carry_out_until("load")
trainer.train()
