"""Writes a GGUF model anew with its matrices in another type, and once more with the values of that in float32.

Usage: requantize.py SOURCE TYPE QUANTIZED FLOAT32
"""

import sys

from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, GGUFValueType
from gguf.quants import dequantize, quantize

FLOAT32 = GGMLQuantizationType.F32

# what the writer adds by itself
OWN = ("GGUF.", "general.architecture", "general.quantization_version", "general.file_type")


def main(source, type_name, quantized_path, float32_path):
    kind = GGMLQuantizationType[type_name]
    reader = GGUFReader(source)
    writers = {path: make_writer(reader, path) for path in (quantized_path, float32_path)}
    for tensor in reader.tensors:
        values = dequantize(tensor.data, tensor.tensor_type)
        is_matrix = len(tensor.shape) == 2
        stored = quantize(values, kind) if is_matrix else values
        writers[quantized_path].add_tensor(tensor.name, stored, raw_dtype=kind if is_matrix else FLOAT32)
        writers[float32_path].add_tensor(tensor.name, dequantize(stored, kind) if is_matrix else values)
    for writer in writers.values():
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def make_writer(reader, path):
    writer = GGUFWriter(path, reader.get_field("general.architecture").contents())
    for field in reader.fields.values():
        if field.name.startswith(OWN):
            continue
        kind = field.types[0]
        sub_type = field.types[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), kind, sub_type=sub_type)
    return writer


main(*sys.argv[1:])
