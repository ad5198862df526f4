"""Unigram tokenizer of a sentencepiece model file, with its own normalisation.

The segmentation is that of `tokenizers`. Its normaliser is not used: where several matches start at a character it
takes the shortest, sentencepiece the longest.
"""

import re
import struct
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

#: Mark of a word's start, in place of the space before it.
_MARK: Final = "\u2581"
UNKNOWN, START, END = 0, 1, 2
_UNKNOWN_PIECE: Final = "<unk>"
#: Bytes of a UTF-8 character, by the upper half of its first byte.
_LENGTHS: Final = (*[1] * 12, 2, 2, 3, 4)
#: Fields of ModelProto, of a piece and of the normaliser.
_PIECES, _NORMALISER, _TEXT, _SCORE, _CHARSMAP = 1, 3, 1, 2, 2


class Charsmap:
    """Replacements of a precompiled charsmap: the longest match at each place, as sentencepiece applies them."""

    def __init__(self, charsmap: bytes) -> None:
        """Reads a double-array trie over UTF-8, and the replacements behind it.

        Source: darts-clone; a unit is a byte's label (bits 0-7), whether a key ends (8), and the children's offset.
        """
        size = int.from_bytes(charsmap[:4], "little")
        self._units = struct.unpack(f"<{size // 4}I", charsmap[4 : 4 + size])
        self._replacements = charsmap[4 + size :]
        #: Lone surrogates are none of UTF-8's.
        self._single: dict[int, str] = dict.fromkeys(range(0xD800, 0xE000), "?")
        later = set()
        for first, node, leaf in self._characters(_offset(self._units[0])):
            later |= {second for second, _, _ in self._characters(node)}
            if leaf:
                self._single[ord(first)] = self._replacement(node).decode()
        #: Characters without which every match is of one character.
        self._joined = re.compile(f"[{''.join(map(re.escape, sorted(later)))}]")

    def _characters(self, node: int, read: bytes = b"") -> Iterator[tuple[str, int, bool]]:
        """(character, node behind it, whether a key ends there) of those that the trie has from a node on."""
        for byte in range(0x80, 0xC0) if read else range(1, 0xF8):
            place = node ^ byte
            if place >= len(self._units) or self._units[place] & 0x800000FF != byte:
                continue
            unit, key = self._units[place], read + bytes([byte])
            child = place ^ _offset(unit)
            if len(key) == _LENGTHS[key[0] >> 4]:
                yield key.decode(), child, bool(unit & 0x100)
            else:
                yield from self._characters(child, key)

    def _replacement(self, node: int) -> bytes:
        start = self._units[node] & 0x7FFFFFFF
        return self._replacements[start : self._replacements.index(b"\0", start)]

    def replace(self, text: str) -> str:
        """The text with every match replaced, and lone surrogates by a question mark."""
        return self._longest(text) if self._joined.search(text) else text.translate(self._single)

    def _longest(self, text: str) -> str:
        raw, replaced, start = text.encode("utf-8", "replace"), bytearray(), 0
        while start < len(raw):
            node, end, found = _offset(self._units[0]), start, b""
            for place in range(start, len(raw)):
                node ^= raw[place]
                unit = self._units[node]
                if unit & 0x800000FF != raw[place]:
                    break
                node ^= _offset(unit)
                if unit & 0x100:
                    end, found = place + 1, self._replacement(node)
            if end == start:
                end += _LENGTHS[raw[start] >> 4]
                found = raw[start:end]
            replaced += found
            start = end
        return replaced.decode()


class UnigramTokenizer:
    """A sentencepiece model of kind unigram: the most probable pieces of a text."""

    def __init__(self, file: Path) -> None:
        """Reads the pieces, their log probabilities and the charsmap."""
        from tokenizers import Tokenizer
        from tokenizers.models import Unigram

        pieces, charsmap = [], b""
        for field, value in _fields(file.read_bytes()):
            if field == _PIECES:
                piece = dict(_fields(value))
                pieces.append((piece[_TEXT].decode(), struct.unpack("<f", piece.get(_SCORE, bytes(4)))[0]))
            elif field == _NORMALISER:
                charsmap = dict(_fields(value))[_CHARSMAP]
        self._charsmap = Charsmap(charsmap)
        self._segment = partial(Tokenizer(Unigram(pieces, UNKNOWN)).encode_batch, add_special_tokens=False)

    def normalised(self, text: str) -> str:
        """The text as it is cut into pieces: characters replaced, one mark in front of every word; may be empty."""
        words = filter(None, self._charsmap.replace(text).split(" "))
        return (_MARK + _MARK.join(words)).rstrip(_MARK)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of the pieces of each text: one of `UNKNOWN` for each character without a piece, and for no text."""
        return [_ids(encoding) or [UNKNOWN] for encoding in self._segment([self.normalised(text) for text in texts])]


def _ids(encoding: Any) -> list[int]:
    """The ids, runs of unknown characters taken apart."""
    if UNKNOWN not in encoding.ids:
        return list(encoding.ids)
    gap = len(_UNKNOWN_PIECE) - 1  # a text may spell the piece
    ids: list[int] = []
    for one, token in zip(encoding.ids, encoding.tokens, strict=True):
        ids += [one] * (len(token) - gap * token.count(_UNKNOWN_PIECE) if one == UNKNOWN else 1)
    return ids


def _offset(unit: int) -> int:
    return unit >> 10 << ((unit & 0x200) >> 6)


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number and the place behind it."""
    number = shift = 0
    while True:
        byte = data[place]
        number |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return number, place


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """(field, bytes) of a protobuf message; numbers of variable length are left out."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        kind = tag & 7
        if kind == 0:
            _, place = _varint(message, place)
            continue
        size = {1: 8, 5: 4}.get(kind)
        if size is None:
            size, place = _varint(message, place)
        yield tag >> 3, message[place : place + size]
        place += size
