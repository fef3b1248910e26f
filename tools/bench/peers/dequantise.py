"""Writes a GGUF file with its matrices as 16-bit floats, llama.cpp's usual format: dequantise.py SOURCE TARGET"""

import sys

import gguf

reader = gguf.GGUFReader(sys.argv[1])
architecture = reader.fields["general.architecture"].contents()
writer = gguf.GGUFWriter(sys.argv[2], architecture)
for field in reader.fields.values():
    # The writer writes these itself.
    if field.name.startswith("GGUF.") or field.name in ("general.architecture", "general.file_type"):
        continue
    kind = field.types[0]
    writer.add_key_value(field.name, field.contents(), kind, field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
for tensor in reader.tensors:
    data = gguf.dequantize(tensor.data, tensor.tensor_type)
    writer.add_tensor(tensor.name, data.astype("float16") if data.ndim > 1 else data)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
