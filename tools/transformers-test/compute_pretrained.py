"""Reads SmolLM2-135M-Instruct out of a GGUF file with gguf and transformers, and writes what they make of it.

    python compute_pretrained.py MODEL.gguf FOLDER

FOLDER has texts.json; it gets reference.json, weights.safetensors, logits.safetensors, blocks.gguf and blocks.safetensors, and
the model as Hugging Face folders: bfloat16 (in shards) and float16.
"""

import json
import pathlib
import sys

import gguf
import numpy
import safetensors.torch
import tokenizers
import torch
import transformers

model_path, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
torch.set_grad_enabled(False)
torch.manual_seed(0)
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
print(f"transformers {transformers.__version__}, torch {torch.__version__}, tokenizers {tokenizers.__version__}", flush=True)

# The weights, dequantised by gguf, named and put in order by transformers.
model = transformers.AutoModelForCausalLM.from_pretrained(model_path.parent, gguf_file=model_path.name, dtype=torch.float32)
model.eval()
weights = {name: tensor for name, tensor in model.state_dict().items() if name != "lm_head.weight"}
safetensors.torch.save_file(weights, folder / "weights.safetensors")

# The tokenizer as Hugging Face's file of SmolLM2 has it: digits one by one, then GPT-2's words, then BPE.
metadata = {name: field.contents() for name, field in gguf.GGUFReader(model_path).fields.items()}
names = metadata["tokenizer.ggml.tokens"]
merges = [tuple(merge.split(" ")) for merge in metadata["tokenizer.ggml.merges"]]
raw = tokenizers.Tokenizer(tokenizers.models.BPE({name: token for token, name in enumerate(names)}, merges))
raw.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
    [tokenizers.pre_tokenizers.Digits(individual_digits=True), tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)]
)
raw.decoder = tokenizers.decoders.ByteLevel()
special = [name for name, kind in zip(names, metadata["tokenizer.ggml.token_type"]) if kind == 3]
raw.add_special_tokens([tokenizers.AddedToken(name, special=True, normalized=False) for name in special])
tokenizer = transformers.PreTrainedTokenizerFast(
    tokenizer_object=raw,
    bos_token=names[metadata["tokenizer.ggml.bos_token_id"]],
    eos_token=names[metadata["tokenizer.ggml.eos_token_id"]],
    pad_token=names[metadata["tokenizer.ggml.padding_token_id"]],
    unk_token=names[metadata["tokenizer.ggml.unknown_token_id"]],
    chat_template=metadata["tokenizer.chat_template"],
)

given = json.loads((folder / "texts.json").read_text())


def ids(text: str, **options) -> list[int]:
    return tokenizer(text, add_special_tokens=False, **options).input_ids


def rendered(conversation) -> str:
    return tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)


prompts = [ids(one["text"] if "text" in one else rendered(given["conversations"][one["conversation"]])) for one in given["prompts"]]
logits = {f"logits.{index}": model(torch.tensor([prompt])).logits[0].contiguous() for index, prompt in enumerate(prompts)}
safetensors.torch.save_file(logits, folder / "logits.safetensors")
greedy = [
    model.generate(
        torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)), do_sample=False, max_new_tokens=64, eos_token_id=2
    )[0, len(prompt) :].tolist()
    for prompt in prompts
]
reference = {
    "text": [ids(text, split_special_tokens=True) for text in given["texts"]],
    "template": [ids(text) for text in given["texts"]],
    "decoded": [tokenizer.decode(ids(text), skip_special_tokens=True) for text in given["texts"]],
    "chats": [
        {
            "conversation": conversation,
            "add_generation_prompt": generation,
            "text": tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=generation),
        }
        for conversation in given["conversations"]
        for generation in (False, True)
    ],
    "prompts": [{"tokens": prompt, "greedy": made} for prompt, made in zip(prompts, greedy)],
}
(folder / "reference.json").write_text(json.dumps(reference))

# transformers does not save a model that it loaded from GGUF.
config = transformers.LlamaConfig(**{key: value for key, value in model.config.to_dict().items() if key != "quantization_config"})
for name, dtype, options in [("bfloat16", torch.bfloat16, {"max_shard_size": "90MB"}), ("float16", torch.float16, {})]:
    rounded = transformers.LlamaForCausalLM(config)
    rounded.load_state_dict(weights, strict=False)
    rounded.to(dtype).save_pretrained(folder / name, **options)
    tokenizer.save_pretrained(folder / name)

# Every block type that is read, of random bytes, as gguf decodes it.
random = numpy.random.default_rng(0)
writer = gguf.GGUFWriter(folder / "blocks.gguf", "llama")
expected = {}
scales = {"Q4_0": [0], "Q4_1": [0, 2], "Q8_0": [0], "Q6_K": [208], "F16": [], "BF16": [], "F32": []}
for name, places in scales.items():
    kind = gguf.GGMLQuantizationType[name]
    if places:
        blocks = random.integers(0, 256, (3, 4 * gguf.GGML_QUANT_SIZES[kind][1]), dtype=numpy.uint8)
        for block in range(4):
            for place in places:
                start = block * gguf.GGML_QUANT_SIZES[kind][1] + place
                blocks[:, start : start + 2] = random.normal(0, 0.1, (3, 1)).astype(numpy.float16).view(numpy.uint8)
    else:
        values = random.normal(0, 1, (3, 64)).astype(numpy.float32)
        blocks = gguf.quantize(values, kind).view(numpy.uint8)
    expected[name] = torch.tensor(gguf.dequantize(blocks, kind).astype(numpy.float32))
    writer.add_tensor(name, blocks, raw_dtype=kind)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
safetensors.torch.save_file(expected, folder / "blocks.safetensors")
