"""Copies of a client library's objects by a mould: equal to what they are made of, and nobody's but the caller's."""

import datetime as dt
import gc
import weakref
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, PrivateAttr

from resopt._core import Mould
from resopt.types import NO_TRACE
from resopt.wrap import objects
from resopt.wrap.objects import Moulds


class Leaf(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str
    size: int = 1


class Tree(BaseModel):
    leaves: list[Leaf]
    by_name: dict[str, Leaf | None] = {}
    note: Any = None
    _secret: list[int] = PrivateAttr(default_factory=lambda: [1, 2])


class Slotted(Leaf):
    __slots__ = ("more",)


def a_tree():
    leaf = Leaf(name="a", colour="green", spots=[{"x": [1, 2.5, None, True, b"b"]}])
    return Tree(leaves=[leaf, Leaf(name="b", size=3)], by_name={"a": Leaf(name="c"), "none": None}, note=[leaf, []])


def test_a_copy_is_equal_in_all_a_model_holds():
    tree = a_tree()
    made = Mould(tree).cast()
    assert type(made) is Tree
    assert made == tree
    assert made.model_dump() == tree.model_dump()
    assert made.model_dump(exclude_unset=True) == tree.model_dump(exclude_unset=True)
    assert made.leaves[0].model_extra == tree.leaves[0].model_extra
    assert (made.model_fields_set, made._secret) == (tree.model_fields_set, [1, 2])
    assert made.model_dump_json() == tree.model_dump_json()
    made.leaves.append(Leaf.model_validate({"name": "d"}))
    assert Tree.model_validate(made.model_dump()).leaves[-1].name == "d"


def test_no_two_copies_share_what_can_be_changed():
    tree = a_tree()
    mould = Mould(tree)
    first = mould.cast()
    for holder in (first, tree):
        holder.leaves[0].name = "spoilt"
        holder.leaves[0].spots[0]["x"].append(9)
        holder.leaves[0].__pydantic_extra__["more"] = 1
        holder.leaves[1].__pydantic_fields_set__.clear()
        holder.by_name.clear()
        holder.note[1].append(1)
        holder._secret.append(3)
        holder.leaves.pop()
    assert mould.cast() == a_tree()
    assert mould.cast().model_fields_set == a_tree().model_fields_set


def test_copies_are_freed():
    made = Mould(a_tree()).cast()
    gone = weakref.ref(made.leaves[0])
    del made
    gc.collect()
    assert gone() is None


def deep(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        Tree(leaves=[], note=dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
        Tree(leaves=[], note={1, 2}),
        Tree(leaves=[], note=deep(100)),
        Tree(leaves=[], note=Slotted(name="s")),
        Slotted(name="s"),
        {"not": "a model"},
        None,
    ],
)
def test_what_has_no_mould(value):
    with pytest.raises(TypeError, match="no mould can be made of a "):
        Mould(value)


def reply(number):
    return Leaf(name=f"{number}", size=number).model_dump_json().encode()


def test_objects_are_the_same_however_often_they_are_made():
    moulds = Moulds(Leaf)
    for _ in range(4):
        made = moulds.make(reply(1), NO_TRACE)
        assert made == Leaf(name="1", size=1)
        assert (made._request_id, made._resopt) == (None, NO_TRACE)
        made.name = "spoilt"


def test_moulds_are_of_what_is_asked_for_again_and_bounded(monkeypatch):
    monkeypatch.setattr(objects, "_MOULDED", 1_000)
    moulds = Moulds(Leaf)
    for number in range(500):
        for _ in range(1 + number % 3):
            assert moulds.make(reply(number), NO_TRACE).size == number
        assert sum(map(len, moulds._moulds)) <= 1_000 + 125
        assert sum(mould is not None for mould in moulds._moulds.values()) <= number
    big = Leaf(name="x" * 200).model_dump_json().encode()
    for _ in range(3):
        assert moulds.make(big, NO_TRACE).size == 1
    assert big not in moulds._moulds


def test_a_class_without_a_mould_is_made_of_its_json():
    class Dated(BaseModel):
        at: dt.date

    moulds = Moulds(Dated)
    for _ in range(4):
        assert moulds.make(b'{"at":"2026-11-28"}', NO_TRACE).at.year == 2026
