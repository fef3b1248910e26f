"""A decoder-only transformer of the Llama family, as one writes it in PyTorch to be fast on a processor.

Fused projections (query, key and value; gate and up), scaled_dot_product_attention, a KV cache that is allocated once.
"""

import json
import pathlib
from dataclasses import dataclass

import safetensors.torch
import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass(frozen=True)
class Config:
    vocab: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    key_value_heads: int
    positions: int
    rope_theta: float
    epsilon: float
    tied: bool

    @property
    def head_size(self) -> int:
        return self.hidden // self.heads

    @staticmethod
    def read(folder: pathlib.Path) -> "Config":
        file = json.loads((folder / "config.json").read_text())
        return Config(
            vocab=file["vocab_size"],
            hidden=file["hidden_size"],
            intermediate=file["intermediate_size"],
            layers=file["num_hidden_layers"],
            heads=file["num_attention_heads"],
            key_value_heads=file["num_key_value_heads"],
            positions=file["max_position_embeddings"],
            rope_theta=file["rope_theta"],
            epsilon=file["rms_norm_eps"],
            tied=file["tie_word_embeddings"],
        )


class RMSNorm(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(config.hidden))
        self.epsilon = config.epsilon

    def forward(self, x):
        return F.rms_norm(x, self.weight.shape, self.weight, self.epsilon)


def rotate(x, rotations):
    """x: [batch, time, heads, size], the two parts of a rotated pair side by side; rotations: cos and sin, [time, 1, size / 2, 2]."""
    pairs = x.unflatten(-1, (-1, 2))
    if not torch.compiler.is_compiling():
        # One pass over the memory; inductor makes one of the plain formula, but knows no complex numbers.
        return torch.view_as_real(torch.view_as_complex(pairs) * torch.view_as_complex(rotations)).flatten(-2)
    (first, second), (cos, sin) = pairs.unbind(-1), rotations.unbind(-1)
    return torch.stack((first * cos - second * sin, second * cos + first * sin), -1).flatten(-2)


@dataclass(frozen=True)
class Cache:
    """The keys and values of one layer, [batch, heads, time, size] each, and where the next ones belong."""

    keys: torch.Tensor
    values: torch.Tensor
    positions: torch.Tensor
    end: int

    def extended(self, key, value):
        # Assigned by index: inductor does that in place, where an assigned slice makes it copy the cache.
        self.keys[:, :, self.positions] = key
        self.values[:, :, self.positions] = value
        return self.keys[:, :, : self.end], self.values[:, :, : self.end]


class Attention(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        rows = (config.heads + 2 * config.key_value_heads) * config.head_size
        self.query_key_value = nn.Linear(config.hidden, rows, bias=False)
        self.output = nn.Linear(config.hidden, config.hidden, bias=False)

    def forward(self, x, rotations, cache=None):
        """x: [batch, time, hidden]; rotations: [time, 1, size / 2, 2]."""
        batch, time, _ = x.shape
        heads, kv_heads, size = self.config.heads, self.config.key_value_heads, self.config.head_size
        projected = self.query_key_value(x).view(batch, time, heads + 2 * kv_heads, size)
        # Queries and keys are rotated together: their positions are the same.
        turned, value = projected.split((heads + kv_heads, kv_heads), 2)
        query, key = rotate(turned, rotations).transpose(1, 2).split((heads, kv_heads), 1)
        value = value.transpose(1, 2)
        if cache is not None:
            key, value = cache.extended(key, value)
        if time == 1:
            # One position sees all that is cached: the queries that share a key head are rows of one product.
            grouped = query.reshape(batch, kv_heads, heads // kv_heads, size)
            attended = F.scaled_dot_product_attention(grouped, key, value).reshape(batch, 1, heads * size)
        else:
            attended = F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=heads != kv_heads)
            attended = attended.transpose(1, 2).reshape(batch, time, heads * size)
        return self.output(attended)


class FeedForward(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.gate_up = nn.Linear(config.hidden, 2 * config.intermediate, bias=False)
        self.down = nn.Linear(config.intermediate, config.hidden, bias=False)

    def forward(self, x):
        gate, up = self.gate_up(x).chunk(2, -1)
        return self.down(F.silu(gate) * up)


class Layer(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.attention_norm = RMSNorm(config)
        self.attention = Attention(config)
        self.feed_forward_norm = RMSNorm(config)
        self.feed_forward = FeedForward(config)

    def forward(self, x, rotations, cache=None):
        x = x + self.attention(self.attention_norm(x), rotations, cache)
        return x + self.feed_forward(self.feed_forward_norm(x))


class Transformer(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab, config.hidden)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = RMSNorm(config)
        self.head = nn.Linear(config.hidden, config.vocab, bias=False)
        if config.tied:
            self.head.weight = self.embedding.weight
        frequencies = config.rope_theta ** (-torch.arange(0, config.head_size, 2, dtype=torch.float64) / config.head_size)
        angles = torch.outer(torch.arange(config.positions, dtype=torch.float64), frequencies)[:, None]
        rotations = torch.stack((angles.cos(), angles.sin()), -1).float()
        self.register_buffer("rotations", rotations, persistent=False)

    @staticmethod
    def load(folder: pathlib.Path) -> "Transformer":
        """Reads a Hugging Face folder."""
        weights = safetensors.torch.load_file(folder / "model.safetensors")
        model = Transformer(Config.read(folder))
        state = {"embedding.weight": weights["model.embed_tokens.weight"], "norm.weight": weights["model.norm.weight"]}
        state["head.weight"] = state["embedding.weight"] if model.config.tied else weights["lm_head.weight"]
        for index in range(model.config.layers):
            ours, theirs = f"layers.{index}", f"model.layers.{index}"
            projections = lambda part, names: [weights[f"{theirs}.{part}.{name}_proj.weight"] for name in names]
            query, key, value = projections("self_attn", "qkv")
            interleaved = lambda weight: (
                # Hugging Face keeps the first parts of a head's pairs before all second parts.
                weight.unflatten(0, (-1, 2, model.config.head_size // 2)).transpose(1, 2).flatten(0, 2)
            )
            state[f"{ours}.attention_norm.weight"] = weights[f"{theirs}.input_layernorm.weight"]
            state[f"{ours}.attention.query_key_value.weight"] = torch.cat((interleaved(query), interleaved(key), value))
            state[f"{ours}.attention.output.weight"] = projections("self_attn", "o")[0]
            state[f"{ours}.feed_forward_norm.weight"] = weights[f"{theirs}.post_attention_layernorm.weight"]
            state[f"{ours}.feed_forward.gate_up.weight"] = torch.cat(projections("mlp", ("gate", "up")))
            state[f"{ours}.feed_forward.down.weight"] = projections("mlp", ("down",))[0]
        model.load_state_dict(state)
        return model

    def forward(self, tokens):
        """tokens: [batch, time]. Returns logits: [batch, time, vocab]."""
        return self.head(self.states(tokens, self.rotations[: tokens.shape[1]]))

    def next_logits(self, tokens, keys, values, positions, end):
        """
        What follows the tokens, whose keys and values are kept.

        tokens: [batch, time]; keys, values: a tensor a layer, see new_cache; positions: of the tokens, [time];
        end: the position after them. Either the first tokens or a single one. Returns logits: [batch, vocab].
        """
        caches = [Cache(key, value, positions, end) for key, value in zip(keys, values)]
        return self.head(self.states(tokens, self.rotations[positions], caches)[:, -1])

    def states(self, tokens, rotations, caches=None):
        x = self.embedding(tokens)
        for index, layer in enumerate(self.layers):
            x = layer(x, rotations, None if caches is None else caches[index])
        return self.norm(x)

    def new_cache(self, batch: int, time: int) -> list[torch.Tensor]:
        """Room for the keys, or the values, of `time` positions: [batch, heads, time, size] a layer."""
        config = self.config
        return [torch.empty(batch, config.key_value_heads, time, config.head_size) for _ in range(config.layers)]
