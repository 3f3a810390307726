"""Writes a Hugging Face model of float weights anew with the values that llama.cpp's types leave of them.

The weights become a GGUF file of float32, which llama.cpp's own `llama_model_quantize` quantises (what its program
`llama-quantize` calls, so that each tensor gets the type that it gets there); then they are dequantised to a folder
like the first one. Needs numpy, gguf, and the libraries that node-llama-cpp installs.

Usage: llama_quantize.py IN OUT TYPE, one of Q4_0, Q4_K_M and Q8_0
"""

import ctypes
import json
import pathlib
import shutil
import struct
import sys
import tempfile

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter
from gguf.quants import dequantize

LIBRARIES = pathlib.Path(__file__).parents[1] / "node_modules/@node-llama-cpp/linux-x64/bins/linux-x64"

# llama_ftype
FILE_TYPES = {"Q4_0": 2, "Q8_0": 7, "Q4_K_M": 15}

ARCHITECTURES = {"LlamaForCausalLM": "llama", "Qwen3ForCausalLM": "qwen3"}

PARTS = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}

OUTSIDE = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}


class QuantizeParams(ctypes.Structure):
    """The head of llama_model_quantize_params, with room for its rest, which keeps its defaults."""

    _fields_ = [("nthread", ctypes.c_int32), ("ftype", ctypes.c_int), ("rest", ctypes.c_char * 248)]


def main(source, target, type_name):
    config = json.loads((source / "config.json").read_text())
    with tempfile.TemporaryDirectory() as scratch:
        floats, quantized = f"{scratch}/float.gguf", f"{scratch}/quantized.gguf"
        weights = dict(read_safetensors(source / "model.safetensors"))
        write_gguf(floats, config, weights)
        quantize(floats, quantized, FILE_TYPES[type_name])
        reader = GGUFReader(quantized)
        stored = {tensor.name: tensor for tensor in reader.tensors}
        target.mkdir(parents=True)
        write_safetensors(
            target / "model.safetensors",
            {
                name: dequantize(stored[gguf_name(name)].data, stored[gguf_name(name)].tensor_type).reshape(value.shape)
                for name, value in weights.items()
            },
        )
    for file in source.glob("*.json"):
        shutil.copy(file, target / file.name)
    (target / "config.json").write_text(json.dumps({**config, "torch_dtype": "float32"}))
    tell_types(type_name, stored)


def gguf_name(name):
    if name in OUTSIDE:
        return OUTSIDE[name]
    _, _, layer, part = name.removesuffix(".weight").split(".", 3)
    return f"blk.{layer}.{PARTS[part]}.weight"


def read_safetensors(path):
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    for name, entry in json.loads(data[8 : 8 + length]).items():
        if name == "__metadata__":
            continue
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        if entry["dtype"] == "BF16":
            array = (np.frombuffer(data[start:end], np.uint16).astype(np.uint32) << 16).view(np.float32)
        elif entry["dtype"] == "F32":
            array = np.frombuffer(data[start:end], np.float32)
        else:
            raise SystemExit(f"{name}: expected BF16 or F32, not {entry['dtype']}")
        yield name, array.reshape(entry["shape"])


def write_safetensors(path, tensors):
    header, offset = {}, 0
    for name, array in tensors.items():
        size = 4 * array.size
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [offset, offset + size]}
        offset += size
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for array in tensors.values():
            file.write(np.ascontiguousarray(array, np.float32).tobytes())


def write_gguf(path, config, weights):
    """A file to quantise, not to run: without a usable tokenizer, and rows of q and k in Hugging Face's order."""
    writer = GGUFWriter(path, ARCHITECTURES[config["architectures"][0]])
    heads = config["num_attention_heads"]
    head_dim = config.get("head_dim") or config["hidden_size"] // heads
    theta = config.get("rope_theta") or config["rope_parameters"]["rope_theta"]
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(head_dim)
    writer.add_rope_freq_base(theta)
    writer.add_tokenizer_model("no_vocab")
    for name, value in weights.items():
        writer.add_tensor(gguf_name(name), value, raw_dtype=GGMLQuantizationType.F32)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def quantize(source, target, file_type):
    ctypes.CDLL(LIBRARIES / "libggml-base.so", mode=ctypes.RTLD_GLOBAL)
    ggml = ctypes.CDLL(next(LIBRARIES.glob("libggml.v*.so")), mode=ctypes.RTLD_GLOBAL)
    ggml.ggml_backend_load_all_from_path(bytes(LIBRARIES))
    llama = ctypes.CDLL(next(LIBRARIES.glob("libllama.v*.so")))
    llama.llama_model_quantize_default_params.restype = QuantizeParams
    params = llama.llama_model_quantize_default_params()
    params.ftype = file_type
    if llama.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(params)) != 0:
        raise SystemExit(f"llama.cpp cannot quantise {source}")


def tell_types(type_name, stored):
    """Which type tensors got, and how many bits a weight that makes."""
    types, bits = {}, {}
    for tensor in stored.values():
        if len(tensor.shape) < 2:
            continue
        part = tensor.name.split(".")[-2]
        counts = types.setdefault(part, {})
        counts[tensor.tensor_type.name] = counts.get(tensor.tensor_type.name, 0) + 1
        kind = "embedding" if part in ("token_embd", "output") else "Linears"
        size, stored_bytes = bits.get(kind, (0, 0))
        bits[kind] = size + int(tensor.n_elements), stored_bytes + int(tensor.n_bytes)
    rates = ", ".join(f"{kind} {8 * n_bytes / size:.2f}" for kind, (size, n_bytes) in bits.items())
    print(f"{type_name}: bits a weight: {rates}; {json.dumps(types)}")


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[3] not in FILE_TYPES:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3])
