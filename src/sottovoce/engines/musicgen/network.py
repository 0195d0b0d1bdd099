"""MusicGen's transformer in a loop of our own: one position of all codebooks at a time, with memory of what came before.

The weights are transformers'. What its `generate` does anew at every step is done once: room for keys and values is taken at the start,
those of the words are computed once, the words' null twin of guidance (which attends to nothing) leaves cross-attention out, and products
of one input are one product. The model's numbers are the same up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Positions that go through at once where many are known, so that a cancel is heard in between.
_SLICE = 32
#: Rows of one position: the words and their null twin.
_FEW = 2
Norm = tuple[Tensor, Tensor, float]


@dataclass(frozen=True, eq=False)
class _Cross:
    """The weights by which a layer attends to the words."""

    norm: Norm
    query: Tensor
    key: Tensor
    value: Tensor
    out: Tensor


@dataclass(frozen=True, eq=False)
class _Layer:
    """The weights of a layer; queries, keys and values are one matrix."""

    norm: Norm
    joined: Tensor
    out: Tensor
    cross: _Cross | None
    last_norm: Norm
    widen: Tensor
    narrow: Tensor


@dataclass(frozen=True, eq=False)
class Condition:
    """What the music is to be like: hidden states [1 or 2, length, hidden], the second being guidance's null twin.

    With `attended` the layers attend to them, else they come before the music.
    """

    states: Tensor
    attended: bool


class Network:
    """The transformer with its weights in `dtype` on a device; the module's own are given up layer by layer."""

    def __init__(self, module: Any, device: str, dtype: torch.dtype) -> None:
        decoder, config = module.model.decoder, module.config
        self.device, self.dtype = device, dtype
        self.codebooks, self.sides, self.vocabulary = config.num_codebooks, config.audio_channels, config.vocab_size
        self.heads, self.hidden = config.num_attention_heads, config.hidden_size
        self.pad = int(config.pad_token_id)
        self.activation: Callable[[Tensor], Tensor] = decoder.layers[0].activation_fn
        self.embeddings = self._own([embedding.weight for embedding in decoder.embed_tokens])
        self.places: Tensor = decoder.embed_positions.get_embedding(_places(config), self.hidden).to(device, dtype)
        self.layers = [self._layer(layer) for layer in _taken(decoder.layers)]
        self.last_norm = self._norm(decoder.layer_norm)
        self.outputs = self._own([head.weight for head in module.lm_heads])

    def _layer(self, layer: Any) -> _Layer:
        own, attention = self._own, layer.self_attn
        return _Layer(
            norm=self._norm(layer.self_attn_layer_norm),
            joined=own([attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight]),
            out=own([attention.out_proj.weight]),
            cross=self._cross(layer) if hasattr(layer, "encoder_attn") else None,
            last_norm=self._norm(layer.final_layer_norm),
            widen=own([layer.fc1.weight]),
            narrow=own([layer.fc2.weight]),
        )

    def _cross(self, layer: Any) -> _Cross:
        attention = layer.encoder_attn
        parts = (attention.q_proj, attention.k_proj, attention.v_proj, attention.out_proj)
        return _Cross(self._norm(layer.encoder_attn_layer_norm), *(self._own([part.weight]) for part in parts))

    def _norm(self, norm: Any) -> Norm:
        return self._own([norm.weight]), self._own([norm.bias]), float(norm.eps)

    def _own(self, weights: list[Tensor]) -> Tensor:
        joined = weights[0] if len(weights) == 1 else torch.cat(weights)
        return joined.detach().to(self.device, self.dtype)


class Session:
    """One piece of music on its way through the network: `length` positions of it at most, besides what comes before it."""

    def __init__(self, network: Network, condition: Condition, length: int) -> None:
        states = condition.states.to(network.device, network.dtype)
        self._net, self._rows = network, states.shape[0]
        before = 0 if condition.attended else states.shape[1]
        shape = (len(network.layers), 2, self._rows, network.heads, before + length, network.hidden // network.heads)
        self._kept = torch.empty(shape, device=network.device, dtype=network.dtype)
        self._at = 0
        # The null twin's words are zeros, and so is what attending to them adds: only the first row attends.
        self._words = [self._attended(layer, states[:1]) if condition.attended else None for layer in network.layers]
        self._before = None if condition.attended else states

    def advance(self, tokens: Tensor, between: Callable[[], None]) -> Tensor:
        """Scores [rows, codebooks, vocabulary] (float32) of what follows after the tokens [codebooks, positions].

        `between` is called between slices of many positions; raising from it stops the work.
        """
        hidden = self._embedded(tokens)
        if self._before is not None:
            hidden, self._before = torch.cat([self._before, hidden], dim=1), None
        for start in range(0, hidden.shape[1], _SLICE):
            if start:
                between()
            last = self._through(hidden[:, start : start + _SLICE])
        return self._scores(last)

    def _embedded(self, tokens: Tensor) -> Tensor:
        net = self._net
        firsts = torch.arange(net.codebooks, device=tokens.device)[:, None] * (net.vocabulary + 1)
        parts = functional.embedding(tokens + firsts, net.embeddings)
        summed = parts[0]
        for part in parts[1:]:
            summed = summed + part
        return summed.expand(self._rows, -1, -1)

    def _through(self, hidden: Tensor) -> Tensor:
        """The next positions [rows, positions, hidden] through all layers; the last of them."""
        net, positions = self._net, hidden.shape[1]
        hidden = hidden + net.places[self._at : self._at + positions]
        mask = self._mask(positions)
        for index, layer in enumerate(net.layers):
            hidden = self._layer(index, layer, hidden, mask)
        self._at += positions
        return hidden[:, -1]

    def _mask(self, positions: int) -> Tensor | None:
        """Which earlier positions each one sees, where that is not all of them or all but the later ones of the first slice."""
        if positions == 1 or self._at == 0:
            return None
        seen = torch.ones(positions, self._at + positions, dtype=torch.bool, device=self._net.device)
        return seen.tril(self._at)

    def _layer(self, index: int, layer: _Layer, hidden: Tensor, mask: Tensor | None) -> Tensor:
        hidden = hidden + _product(self._itself(index, layer, hidden, mask), layer.out)
        words = self._words[index]
        if layer.cross is not None and words is not None:
            query = self._split(_product(_normed(hidden[:1], layer.cross.norm), layer.cross.query))
            heard = functional.scaled_dot_product_attention(query, *words)
            hidden[:1] += _product(_merged(heard), layer.cross.out)
        wide = self._net.activation(_product(_normed(hidden, layer.last_norm), layer.widen))
        return hidden + _product(wide, layer.narrow)

    def _itself(self, index: int, layer: _Layer, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """What the positions hear of one another and of those before them."""
        start, stop = self._at, self._at + hidden.shape[1]
        joined = _product(_normed(hidden, layer.norm), layer.joined)
        query, key, value = (self._split(part) for part in joined.split(self._net.hidden, dim=-1))
        keys, values = self._kept[index]
        keys[:, :, start:stop], values[:, :, start:stop] = key, value
        first = start == 0 and stop > 1
        heard = functional.scaled_dot_product_attention(
            query, keys[:, :, :stop], values[:, :, :stop], attn_mask=mask, is_causal=first
        )
        return _merged(heard)

    def _attended(self, layer: _Layer, states: Tensor) -> tuple[Tensor, Tensor] | None:
        """The words' keys and values."""
        if layer.cross is None:
            return None
        key, value = (_product(states, weight) for weight in (layer.cross.key, layer.cross.value))
        return self._split(key).contiguous(), self._split(value).contiguous()

    def _scores(self, hidden: Tensor) -> Tensor:
        net = self._net
        scores = _product(_normed(hidden, net.last_norm), net.outputs)
        return scores.view(self._rows, net.codebooks, net.vocabulary).float()

    def _split(self, hidden: Tensor) -> Tensor:
        """[rows, positions, hidden] as [rows, heads, positions, size]."""
        return hidden.view(*hidden.shape[:2], self._net.heads, -1).transpose(1, 2)


def _product(hidden: Tensor, weight: Tensor) -> Tensor:
    """`hidden` [rows, positions, in] through a matrix [out, in]."""
    if weight.dtype == torch.bfloat16 and weight.device.type == "cpu" and hidden.shape[0] * hidden.shape[1] == _FEW:
        # The same numbers; torch's product is slow this way round where a processor has few rows of bfloat16.
        product: Tensor = (weight @ hidden.flatten(0, 1).t()).t().unflatten(0, hidden.shape[:2])
        return product
    return functional.linear(hidden, weight)


def _normed(hidden: Tensor, norm: Norm) -> Tensor:
    weight, bias, epsilon = norm
    return functional.layer_norm(hidden, weight.shape, weight, bias, epsilon)


def _merged(heard: Tensor) -> Tensor:
    return heard.transpose(1, 2).flatten(2)


def _taken(layers: Any) -> Iterator[Any]:
    """The layers, each given up by the module before the next is taken, so that none is in memory twice for long."""
    while len(layers):
        yield layers.pop(0)


def _places(config: Any) -> int:
    return int(max(config.max_position_embeddings, 2048))
