"""The linear algebra behind the groups, against brute force and scipy."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, nnls

from limitcycle.symmetry.integers import (
    holds_nonnegative,
    nonnegative_least_squares,
    primitive,
    smallest_positive,
    sparse,
)
from limitcycle.symmetry.nullspace import EulerProducts


def products(null: list[list[int]], seed: int = 0) -> EulerProducts:
    """Rows drawn at random from the complement of ``null``; sensitivities of all sizes."""
    rng = np.random.default_rng(seed)
    vectors = np.array(null, dtype=float)
    complement = np.linalg.svd(vectors)[2][np.linalg.matrix_rank(vectors) :]
    rows = rng.standard_normal((len(complement) + 5, len(complement))) @ complement
    return EulerProducts(rows, np.tile(10 ** rng.uniform(-1, 1, vectors.shape[1]), (len(rows), 1)))


def test_components_do_not_depend_on_the_order():
    null = np.array([[1, 0, 1, 0, 0, 0], [0, 1, 1, 0, 0, 0], [0, 0, 0, 1, -1, 0]])
    for order in itertools.permutations(range(6)):
        parts = products(null[:, order].tolist()).components(range(6))
        members = {frozenset(order[i] for i in part.members) for part in parts}
        assert members == {frozenset({0, 1, 2}), frozenset({3, 4})}


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=60)
def test_generators_span_the_null_space(seed):
    rng = np.random.default_rng(seed)
    null = rng.integers(-1, 2, (3, 9))
    null = null[np.any(null != 0, axis=1)]
    if not len(null):
        return
    found = products(null.tolist(), seed)
    vectors = []
    for part in found.components(range(9)):
        for generator in part.generators:
            vector = np.zeros(9)
            vector[list(part.members)] = generator
            vectors.append(vector)
    rank = np.linalg.matrix_rank(null)
    assert len(vectors) == rank == np.linalg.matrix_rank(np.vstack([null, vectors]))


def test_integers():
    assert primitive([0.5, -1.5, 0]) == (-1, 3, 0)
    assert primitive([-2, 2]) == (1, -1)
    assert primitive([1 / 3, 1 / 2]) == (2, 3)
    assert primitive([1, np.pi]) == (1, pytest.approx(np.pi, abs=1e-6))


def test_sparse_undoes_mixing():
    assert sorted(sparse([(1, 1, 1, 1), (0, 0, 1, 1)])) == [(0, 0, 1, 1), (1, 1, 0, 0)]


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=100)
def test_positive_vectors_agree_with_a_linear_programme(seed):
    rng = np.random.default_rng(seed)
    basis = rng.integers(-1, 2, (2, 5)).astype(float)
    if np.linalg.matrix_rank(basis) < 2:
        return
    exists = linprog(np.zeros(2), A_ub=-basis.T, b_ub=-np.ones(5), bounds=(None, None)).success
    found = smallest_positive([tuple(row) for row in basis])
    assert (found is not None) == exists
    if found is not None:
        assert min(found) > 0 and np.linalg.matrix_rank(np.vstack([basis, found])) == 2
    best = linprog(
        -basis.sum(axis=1), A_ub=-basis.T, b_ub=np.zeros(5), bounds=(-1, 1)
    )  # the largest sum of a vector without negative entries
    assert holds_nonnegative([tuple(row) for row in basis]) == (best.fun < -1e-9)


def test_smallest_positive_of_a_residual_stream_with_affine_norms():
    stem_and_convs, rescaling = (1, 1, 0, 0), (0, -1, 1, 1)
    assert smallest_positive([stem_and_convs, rescaling]) == (2, 1, 1, 1)


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=60)
def test_nonnegative_least_squares_agrees_with_scipy(seed):
    rng = np.random.default_rng(seed)
    system, target = rng.standard_normal((6, 8)), rng.standard_normal(6)
    ours = nonnegative_least_squares(system, target)
    assert ours.min() >= 0
    assert np.linalg.norm(system @ ours - target) == pytest.approx(
        nnls(system, target)[1], abs=1e-8
    )


def test_where_no_gap_is_clean_it_says_so():
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.standard_normal((20, 20)))[0][:, :12]
    rows = turn * 10.0 ** -np.arange(12)
    assert not EulerProducts(rows, np.ones((20, 12))).clear
    assert EulerProducts(turn, np.ones((20, 12))).clear
