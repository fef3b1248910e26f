"""PyTorch's side of the benchmarks: carries out commands, one JSON object a line, and answers each with one line.

Every call is timed here, whole, without what it takes to send it. See worker.mjs.
"""

import json
import pathlib
import sys
import time

import torch
import torch._inductor.config
import torch.nn.functional as F
import transformers

from transformer import Transformer


class Model:
    """The hand-written model, trained and sampled, operation by operation or compiled by inductor."""

    def __init__(self, folder: pathlib.Path, compiled: bool):
        compile = torch.compile if compiled else lambda function: function
        self.model = Transformer.load(folder)
        # Of Adam's implementations the fused one is the fastest on a processor.
        self.optimiser = torch.optim.Adam(self.model.parameters(), fused=True)
        self.next_logits = compile(self.model.next_logits)
        self.loss = compile(lambda inputs, targets: F.cross_entropy(self.model(inputs).flatten(0, 1), targets.flatten()))

    def train(self, tokens: torch.Tensor, learning_rate: float, max_gradient_norm: float) -> tuple[float, float]:
        """One step. Returns the loss, and the gradient norm before clipping."""
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        loss = self.loss(tokens[:, :-1], tokens[:, 1:])
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), max_gradient_norm)
        self.optimiser.step()
        self.optimiser.zero_grad()
        return loss.item(), norm.item()

    @torch.inference_mode()
    def sample(self, prompts: torch.Tensor, new_tokens: int, draw) -> torch.Tensor:
        """Responses at temperature 1: [batch, new_tokens]."""
        batch, start = prompts.shape
        end = start + new_tokens
        keys, values = self.model.new_cache(batch, end), self.model.new_cache(batch, end)
        responses = torch.empty(batch, new_tokens, dtype=torch.int64)
        positions = torch.arange(end)
        logits = self.next_logits(prompts, keys, values, positions[:start], start)
        for index in range(new_tokens):
            tokens = draw(torch.softmax(logits, -1))
            responses[:, index : index + 1] = tokens
            position = start + index
            if position + 1 < end:
                logits = self.next_logits(tokens, keys, values, positions[position : position + 1], position + 1)
        return responses


def draw_by_inversion(probabilities: torch.Tensor) -> torch.Tensor:
    """Of each row one index, by the inverse of its distribution function. [batch, n] to [batch, 1]."""
    cumulative = probabilities.cumsum(-1)
    # The sum need not be exactly 1.
    return torch.searchsorted(cumulative, torch.rand(len(cumulative), 1) * cumulative[:, -1:], right=True)


DRAWS = {"multinomial": lambda probabilities: torch.multinomial(probabilities, 1), "inversion": draw_by_inversion}
models: dict[str, Model] = {}
generators: dict[str, transformers.PreTrainedModel] = {}


def start(threads: int):
    torch.set_num_threads(threads)
    if torch.cuda.is_available():
        torch.set_default_device("cuda")
    # Inductor writes the number into its code, but finds the code of another number in its cache, unless it is told so.
    torch._inductor.config.cpp.threads = threads
    torch.manual_seed(0)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return {"torch": torch.__version__, "transformers": transformers.__version__}


def gpu():
    """The name of the GPU that is computed on."""
    return torch.cuda.get_device_name()


def load(model: str, folder: str, compiled: bool):
    models[model] = Model(pathlib.Path(folder), compiled)


def load_generator(model: str, folder: str):
    """transformers' own model, to generate with."""
    loaded = transformers.LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")
    # No token ends a response: each has its full length.
    loaded.generation_config = transformers.GenerationConfig(do_sample=True, temperature=1.0, top_k=0, top_p=1.0)
    generators[model] = loaded.eval()


@torch.inference_mode()
def log_probs(model: str, tokens: list[list[int]]):
    """Of every token but the first."""
    batch = torch.tensor(tokens)
    inputs, targets = batch[:, :-1], batch[:, 1:, None]
    logits = models[model].model(inputs) if model in models else generators[model](inputs).logits
    return torch.log_softmax(logits, -1).gather(-1, targets)[..., 0].tolist()


def train(model: str, tokens: list[list[int]], steps: int, learningRate: float, maxGradientNorm: float):
    """Steps on the same batch. The loss and the gradient norm are those of the first."""
    batch = torch.tensor(tokens)
    began = time.perf_counter()
    results = [models[model].train(batch, learningRate, maxGradientNorm) for _ in range(steps)]
    if batch.is_cuda:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    loss, norm = results[0]
    return {"seconds": seconds, "loss": loss, "gradientNorm": norm}


def sample(model: str, prompts: list[list[int]], newTokens: int, draw: str):
    batch = torch.tensor(prompts)
    began = time.perf_counter()
    responses = models[model].sample(batch, newTokens, DRAWS[draw]).cpu()
    return {"seconds": time.perf_counter() - began, "tokens": responses.numel()}


def generate(model: str, prompts: list[list[int]], newTokens: int):
    batch = torch.tensor(prompts)
    mask = torch.ones_like(batch)
    began = time.perf_counter()
    sequences = generators[model].generate(batch, attention_mask=mask, max_new_tokens=newTokens)
    return {"seconds": time.perf_counter() - began, "tokens": sequences[:, batch.shape[1] :].numel()}


COMMANDS = {
    function.__name__: function for function in (start, gpu, load, load_generator, log_probs, train, sample, generate)
}

for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = {"result": COMMANDS[request.pop("command")](**request)}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
