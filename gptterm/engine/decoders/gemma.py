"""Gemma 1, 2 and 3: the forward pass, to read beside Llama's.

Gemma Team, "Gemma: Open Models Based on Gemini Research and Technology", 2024: embeddings are
scaled by √width, norms multiply by 1 + weight, the MLP's gate is a GELU.

Gemma 2 (2024) normalises what attention and MLP give, too, bounds scores and logits by tanh, and
has a sliding window in every second layer. Gemma 3 (2025) has a norm of each head's queries and
keys in place of the bounds, and more layers with a window, whose rotary embedding is another.
"""

from dataclasses import dataclass

from gptterm.engine.decoders.attention_step import AttentionStep
from gptterm.engine.decoders.config import DecoderConfig
from gptterm.engine.decoders.layers import Array, LayerMaker, LayerNorm, LinearGroup, LinearLayer


@dataclass(frozen=True)
class Block:
    """Layers of one transformer block."""

    window: int | None
    norm_1: LayerNorm
    attention_in: LinearGroup
    """Query, key and value."""
    query_norm: LayerNorm | None
    key_norm: LayerNorm | None
    attention_out: LinearLayer
    attention_norm: LayerNorm | None
    norm_2: LayerNorm
    mlp_in: LinearGroup
    """Gate and up."""
    down: LinearLayer
    mlp_norm: LayerNorm | None


class Gemma:
    """Gemma 1 of any size."""

    architecture = "GemmaForCausalLM"
    _normalises_results = False

    def __init__(self, config: DecoderConfig, layers: LayerMaker) -> None:
        assert config.rotary is not None
        self.config = config
        vocab, width = config.vocab_size, config.hidden_size
        self._token_embedding = layers.embedding(config.token_embedding, vocab, width)
        windows = config.windows or (None,) * config.num_layers
        self._blocks = [
            _block(f"layers.{i}", config, layers, window, self._normalises_results)
            for i, window in enumerate(windows)
        ]
        self._rotary = layers.rotary(config.rotary, config.head_dim)
        self._local_rotary = layers.rotary(config.local_rotary or config.rotary, config.head_dim)
        self._gate = layers.gate(config.activation)
        self._final_norm = layers.rms_norm("norm", width, config.norm_epsilon, above=1)
        self._lm_head = layers.lm_head(config.head, width, vocab)
        bound = config.logit_soft_cap
        self._soft_cap = None if bound is None else layers.soft_cap(bound)

    def hidden(self, ids: Array, step: AttentionStep) -> Array:
        """(m,) ids → (m, hidden_size)."""
        config = self.config
        x = self._token_embedding(ids) * config.embedding_scale
        rotate_far, rotate_near = (
            rotary(step.positions) for rotary in (self._rotary, self._local_rotary)
        )
        for i, block in enumerate(self._blocks):
            step.tap(i, "input", x)
            query, key, value = block.attention_in(block.norm_1(x))
            if block.query_norm and block.key_norm:
                query, key = block.query_norm(query), block.key_norm(key)
            rotate = rotate_near if block.window else rotate_far
            attended = step.attend(
                *(i, rotate(query), rotate(key), value),
                scale=config.attention_scale,
                window=block.window,
                soft_cap=config.attention_soft_cap,
            )
            x = _add(x, attended, block.attention_out, block.attention_norm)
            step.tap(i, "attention", x)
            gate, up = block.mlp_in(block.norm_2(x))
            x = _add(x, self._gate(gate, up), block.down, block.mlp_norm)
        return x

    def logits(self, hidden: Array) -> Array:
        """(m, hidden_size) → (m, vocab_size)."""
        logits = self._lm_head(self._final_norm(hidden))
        return logits if self._soft_cap is None else self._soft_cap(logits)


class Gemma2(Gemma):
    """Gemma 2 of any size."""

    architecture = "Gemma2ForCausalLM"
    _normalises_results = True


class Gemma3(Gemma2):
    """Gemma 3 of any size, without its image encoder."""

    architecture = "Gemma3ForCausalLM"


def _add(x: Array, y: Array, out: LinearLayer, norm: LayerNorm | None) -> Array:
    """The residual stream with what a half of a block gives."""
    return out(y, residual=x) if norm is None else x + norm(out(y))


def _block(
    name: str, config: DecoderConfig, layers: LayerMaker, window: int | None, four_norms: bool
) -> Block:
    width, inner, head_dim = config.hidden_size, config.intermediate_size, config.head_dim
    of_queries, of_keys = config.num_heads * head_dim, config.num_kv_heads * head_dim
    attention, mlp, bias = f"{name}.self_attn", f"{name}.mlp", config.attention_bias

    def norm(of: str, size: int = width) -> LayerNorm:
        return layers.rms_norm(f"{name}.{of}", size, config.norm_epsilon, above=1)

    def head_norm(of: str) -> LayerNorm | None:
        return norm(f"self_attn.{of}", head_dim) if config.query_norm else None

    return Block(
        window=window,
        norm_1=norm("input_layernorm"),
        attention_in=layers.group(
            layers.linear(f"{attention}.q_proj", width, of_queries, bias=bias),
            layers.linear(f"{attention}.k_proj", width, of_keys, bias=bias),
            layers.linear(f"{attention}.v_proj", width, of_keys, bias=bias),
        ),
        query_norm=head_norm("q_norm"),
        key_norm=head_norm("k_norm"),
        attention_out=layers.linear(f"{attention}.o_proj", of_queries, width, bias=bias),
        # Gemma 1 has the names of Llama's norms.
        attention_norm=norm("post_attention_layernorm") if four_norms else None,
        norm_2=norm("pre_feedforward_layernorm" if four_norms else "post_attention_layernorm"),
        mlp_in=layers.group(
            layers.linear(f"{mlp}.gate_proj", width, inner, bias=False),
            layers.linear(f"{mlp}.up_proj", width, inner, bias=False),
        ),
        down=layers.linear(f"{mlp}.down_proj", inner, width, bias=False),
        mlp_norm=norm("post_feedforward_layernorm") if four_norms else None,
    )
