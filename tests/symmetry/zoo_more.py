"""More models known by hand: Transformers, and those that tempt a search to be wrong."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.utils.checkpoint import checkpoint

from tests.symmetry.zoo import DEAD, RE, SI, ZOO, Case, each, frozen, images, ones, tokens, vectors

MIXED = "mixed"


class Applied(nn.Module):
    """A function of some modules and parameters, and of the batch."""

    def __init__(self, function: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(self, *args, **kwargs)


def linear(i: int = 10, o: int = 10) -> nn.Linear:
    return nn.Linear(i, o, bias=False)


def cosine_head() -> nn.Module:
    def forward(m: Any, x: Tensor) -> Tensor:
        return m.temperature * F.normalize(m.body(x)) @ F.normalize(m.classes).T

    return Applied(
        forward,
        body=linear(),
        classes=nn.Parameter(torch.randn(4, 10)),
        temperature=nn.Parameter(torch.tensor(5.0)),
    )


def masked_attention() -> nn.Module:
    def forward(m: Any, x: Tensor, mask: Tensor) -> dict[str, Tensor]:
        far = (1 - mask)[:, None] * torch.finfo(x.dtype).min
        return {"y": F.scaled_dot_product_attention(m.q(x), m.k(x), m.v(x), attn_mask=far)}

    return Applied(forward, q=linear(8, 8), k=linear(8, 8), v=linear(8, 8))


def clipped_norm() -> nn.Module:
    def forward(m: Any, x: Tensor) -> Tensor:
        y = m.layer(x)
        return y / y.norm(dim=-1, keepdim=True).clamp(min=1.0)

    return Applied(forward, layer=linear())


def checkpointed(*, reentrant: bool) -> nn.Module:
    def forward(m: Any, x: Tensor) -> Tensor:
        inner = checkpoint(
            lambda z: F.relu(m.norm(m.layer(z))), x.requires_grad_(), use_reentrant=reentrant
        )
        return m.head(inner)

    return Applied(forward, layer=linear(), norm=nn.BatchNorm1d(10), head=linear())


def frozen_bias() -> nn.Module:
    layer = nn.Linear(10, 10)
    layer.bias.requires_grad_(False)
    return nn.Sequential(layer, nn.LayerNorm(10, elementwise_affine=False), nn.Tanh())


def inverted_residual() -> nn.Module:
    """MobileNet's block, whose ReLU6 clips: no scaling passes through it."""
    return nn.Sequential(
        *(nn.Conv2d(3, 12, 1, bias=False), nn.BatchNorm2d(12, 1e-9), nn.ReLU6()),
        *(nn.Conv2d(12, 12, 3, groups=12, bias=False), nn.BatchNorm2d(12, 1e-9), nn.ReLU6()),
        *(nn.Conv2d(12, 6, 1, bias=False), nn.BatchNorm2d(6, 1e-9, affine=False)),
    )


def bert() -> nn.Module:
    from transformers import BertConfig, BertModel

    return BertModel(BertConfig(**_tiny("hidden_dropout_prob", "attention_probs_dropout_prob")))


def gpt2() -> nn.Module:
    from transformers import GPT2Config, GPT2Model

    sizes = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 16, "vocab_size": 50}
    off = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    return GPT2Model(GPT2Config(**sizes, **off, use_cache=False, bos_token_id=0, eos_token_id=0))


def llama() -> nn.Module:
    from transformers import LlamaConfig, LlamaModel

    return LlamaModel(LlamaConfig(**_tiny(), num_key_value_heads=1))


def _tiny(*dropouts: str) -> dict[str, Any]:
    return {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "vocab_size": 50,
        "max_position_embeddings": 16,
        "use_cache": False,
        **dict.fromkeys(dropouts, 0.0),
    }


def text(*, padded: bool = False) -> dict[str, Tensor]:
    ids = torch.randint(1, 50, (4, 8))
    if not padded:
        return {"input_ids": ids}
    ids[1, 5:] = ids[3, 6:] = 0
    return {"input_ids": ids, "attention_mask": (ids > 0).long()}


def _prefixed(prefix: str, exponents: dict[str, int]) -> dict[str, int]:
    return {f"{prefix}.{name}": k for name, k in exponents.items()}


BERT_EMBEDDINGS = ("word", "position", "token_type")
BERT_ATTENTION = {
    **ones("embeddings.LayerNorm.weight", "embeddings.LayerNorm.bias"),
    **_prefixed(
        "encoder.layer.0.attention",
        {
            **{"self.query.weight": 1, "self.query.bias": 2, "self.key.weight": -3},
            **{"self.value.weight": 1, "self.value.bias": 2},
            **{"output.dense.weight": -1, "output.dense.bias": 1},
        },
    ),
}
BERT_MLP = _prefixed(
    "encoder.layer.0",
    {
        **ones("attention.output.LayerNorm.weight", "attention.output.LayerNorm.bias"),
        "intermediate.dense.weight": -1,
        **ones("output.dense.weight", "output.dense.bias"),
    },
)
GPT2_STREAM = ("attn.c_proj.weight", "attn.c_proj.bias", "mlp.c_proj.weight", "mlp.c_proj.bias")
LLAMA = {
    "embed_tokens.weight": 1,
    **_prefixed(
        "layers.0",
        {
            **{"self_attn.o_proj.weight": 1, "mlp.down_proj.weight": 1},
            **{"input_layernorm.weight": 1, "post_attention_layernorm.weight": 1},
            **{f"self_attn.{x}_proj.weight": -1 for x in "qkv"},
            **{"mlp.gate_proj.weight": -1, "mlp.up_proj.weight": -1},
        },
    ),
}

MORE: dict[str, Case] = {
    "spectral norm": Case(
        lambda: nn.Sequential(spectral_norm(linear()), nn.Tanh()),
        vectors,
        each("0.parametrizations.weight.original"),
    ),
    "cosine head": Case(cosine_head, vectors, each("body.weight", "classes")),
    "checkpointed": Case(
        lambda: checkpointed(reentrant=False),
        vectors,
        [
            *each("layer.weight"),
            (RE, {"norm.weight": 1, "norm.bias": 1, "head.weight": -1}),
        ],
    ),
    "checkpointed, reentrant": Case(
        lambda: checkpointed(reentrant=True),
        vectors,
        [
            *each("layer.weight"),
            (RE, {"norm.weight": 1, "norm.bias": 1, "head.weight": -1}),
        ],
    ),
    "large eps": Case(
        lambda: nn.Sequential(linear(), nn.GroupNorm(2, 10, eps=0.1, affine=False), nn.Tanh()),
        lambda: 100 * vectors(),
        each("0.weight"),
    ),
    "embedding with padding": Case(
        lambda: nn.Sequential(nn.Embedding(9, 8, padding_idx=0), nn.LayerNorm(8), nn.Linear(8, 3)),
        lambda: torch.randint(0, 4, (6, 5)),
        [*each("0.weight"), (RE, {"1.weight": 1, "1.bias": 1, "2.weight": -1})],
    ),
    "grouped": Case(
        lambda: nn.Sequential(
            nn.Conv2d(3, 6, 3, groups=3, bias=False),
            nn.GroupNorm(3, 6),
            nn.ReLU(),
            nn.Conv2d(6, 6, 3, groups=2, bias=False),
        ),
        images,
        [*each("0.weight"), (RE, {"1.weight": 1, "1.bias": 1, "3.weight": -1})],
    ),
    "masked attention": Case(
        masked_attention,
        lambda: {"x": tokens(), "mask": torch.tensor([[1.0] * 4 + [0.0] * 2] * 5)},
        [(RE, {"q.weight": 1, "k.weight": -1})],
    ),
    "inverted residual (not: clipped)": Case(
        inverted_residual, images, each("0.weight", "3.weight", "6.weight")
    ),
    "clipped norm (not: short vectors)": Case(clipped_norm, lambda: 0.3 * vectors(), []),
    "softplus before the norm (not)": Case(
        lambda: nn.Sequential(linear(), nn.Softplus(), nn.BatchNorm1d(10, affine=False)),
        vectors,
        [],
    ),
    "gelu before the norm (not)": Case(
        lambda: nn.Sequential(linear(), nn.GELU("tanh"), nn.LayerNorm(10), frozen(linear())),
        vectors,
        [],
    ),
    "frozen bias before the norm (not)": Case(frozen_bias, vectors, []),
    "post-norm block": Case(
        lambda: nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True),
        tokens,
        [
            (
                MIXED,
                {
                    **{"linear1.weight": 1, "linear1.bias": 2, "linear2.weight": -1},
                    **ones("linear2.bias", "norm1.weight", "norm1.bias"),
                },
            )
        ],
    ),
    "pre-norm block": Case(
        lambda: nn.TransformerEncoderLayer(
            8, 2, 16, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        ),
        tokens,
        [
            (RE, {"norm1.weight": 1, "norm1.bias": 1, "self_attn.in_proj_weight": -1}),
            (RE, {"norm2.weight": 1, "norm2.bias": 1, "linear1.weight": -1}),
        ],
    ),
    "BERT": Case(
        bert,
        lambda: text(padded=True),
        [
            (SI, ones(*(f"embeddings.{x}_embeddings.weight" for x in BERT_EMBEDDINGS))),
            (RE, BERT_ATTENTION),
            (DEAD, {"encoder.layer.0.attention.self.key.bias": 1}),
            (RE, BERT_MLP),
        ],
    ),
    "GPT-2": Case(
        gpt2,
        text,
        [
            (SI, ones("wte.weight", "wpe.weight", *(f"h.0.{name}" for name in GPT2_STREAM))),
            (RE, {"h.0.ln_1.weight": 1, "h.0.ln_1.bias": 1, "h.0.attn.c_attn.weight": -1}),
            (RE, {"h.0.ln_2.weight": 1, "h.0.ln_2.bias": 1, "h.0.mlp.c_fc.weight": -1}),
        ],
    ),
    "Llama": Case(llama, text, [(MIXED, LLAMA)]),
}

EVERY = ZOO | MORE
