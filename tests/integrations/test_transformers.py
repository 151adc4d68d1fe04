"""Watching under Transformers' trainer: the same rows as by hand, the same bits as unwatched."""

import subprocess
import sys

import pytest
import torch
from torch import nn

import limitcycle as lc
from limitcycle.errors import UserError
from limitcycle.reading import Forecast
from limitcycle.watching.refused import check
from tests.integrations.support import (
    HERE,
    by_hand,
    check_left_as_it_was,
    check_rows,
    check_weights,
    cross_entropy,
    sgd,
)
from tests.watching import loops

transformers = pytest.importorskip("transformers")
EXAMPLES = [
    {"x": x, "labels": y} for step in range(5) for x, y in zip(*loops.batch(step), strict=True)
]
SIZE = 12


class Net(loops.Net):
    """What the trainer can train: the loss is in the output."""

    def forward(self, x, labels=None):
        logits = super().forward(x)
        loss = None if labels is None else cross_entropy(logits, labels)
        return {"loss": loss, "logits": logits}


def net():
    torch.manual_seed(0)
    return Net()


class Collected:
    """Collates, and remembers the batches in the order of the training."""

    def __init__(self):
        self.batches = []

    def __call__(self, examples):
        batch = {name: torch.stack([e[name] for e in examples]) for name in examples[0]}
        self.batches.append((batch["x"], batch["labels"]))
        return batch


def trainer_of(model, folder, *callbacks, collected=None, kind=None, **settings):
    given = {"max_steps": 6, "logging_steps": 1, "save_strategy": "no", **settings}
    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=SIZE,
        lr_scheduler_type="constant",
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        dataloader_pin_memory=False,
        **given,
    )
    return (kind or transformers.Trainer)(
        model,
        arguments,
        train_dataset=EXAMPLES,
        eval_dataset=EXAMPLES[:24],
        data_collator=collected or Collected(),
        callbacks=list(callbacks),
        optimizers=(sgd(model), None),
    )


CASES = {
    "plain": ({"max_grad_norm": 0.0}, {}, 1),
    "accumulated and clipped": (
        {"gradient_accumulation_steps": 2, "max_grad_norm": 0.3},
        {"parts": 2, "clip": 0.3},
        2,
    ),
    "evaluated": ({"eval_strategy": "steps", "eval_steps": 2}, {"clip": 1.0}, 1),
}


@pytest.mark.parametrize("case", CASES)
def test_rows_are_those_of_the_training_by_hand_and_no_bit_is_changed(case, tmp_path):
    settings, same, parts = CASES[case]
    model, watch, collected = net(), lc.TransformersWatch(quiet=True), Collected()
    trainer = trainer_of(model, tmp_path, watch, collected=collected, **settings)
    if "eval_strategy" in settings:
        trainer.get_eval_dataloader = lambda *_: list(map(Collected(), [EXAMPLES[:SIZE]] * 2))
    trainer.train()
    by_itself, batches = net(), collected.batches
    steps = [batches[parts * step : parts * (step + 1)] for step in range(6)]
    w = by_hand(
        by_itself,
        sgd(by_itself),
        steps,
        **same,
        loss_of=lambda m, batch: m(*batch)["loss"],
    )
    check_rows(watch.watch.steps, w.steps)
    check_weights(model, by_itself)
    logged = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert watch.watch.steps["loss"].to_list() == pytest.approx(logged, rel=1e-5)
    check_left_as_it_was(model, trainer.optimizer.optimizer)


def with_dropout(attention=0.1):
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=30,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=8,
        attention_probs_dropout_prob=attention,
    )
    return transformers.BertForSequenceClassification(config)


@pytest.mark.slow
def test_a_bert_with_dropout_is_not_disturbed(tmp_path):
    ids = torch.randint(30, (48, 6), generator=torch.Generator().manual_seed(0))
    weights = []
    for watch in (None, lc.TransformersWatch(quiet=True)):
        model = with_dropout()
        arguments = transformers.TrainingArguments(
            output_dir=str(tmp_path),
            max_steps=4,
            per_device_train_batch_size=6,
            gradient_accumulation_steps=2,
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )
        data = [{"input_ids": row, "labels": row[0] % 2} for row in ids]
        trainer = transformers.Trainer(
            model, arguments, train_dataset=data, callbacks=[watch] if watch else None
        )
        trainer.train()
        weights.append(model)
    check_weights(weights[1], weights[0])
    logged = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert watch.watch.steps["loss"].to_list() == pytest.approx(logged, rel=1e-5)
    assert set(watch.watch.symmetries.scale_invariant) == {
        f"bert.embeddings.{name}_embeddings.weight" for name in ("word", "position", "token_type")
    }


class Interrupted(Exception):
    pass


class StopsAt(transformers.TrainerCallback):
    def __init__(self, step):
        self._step = step

    def on_step_begin(self, args, state, control, **_):
        if state.global_step == self._step:
            raise Interrupted("no more")


@pytest.mark.parametrize("restored", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_training_that_goes_on_continues_its_folder(restored, tmp_path):
    settings = {"max_steps": 9, "save_strategy": "steps", "save_steps": 4}
    first = lc.TransformersWatch(tmp_path / "run", quiet=True)
    trainer = trainer_of(net(), tmp_path / "out", first, StopsAt(6), **settings)
    with pytest.raises(Interrupted):
        trainer.train()
    first.close("failed", "Interrupted")  # as in a notebook: the trainer tells nobody
    assert lc.load(tmp_path / "run").status["step"] == 6
    model, again = net(), lc.TransformersWatch(tmp_path / "run", quiet=True)
    trainer = trainer_of(
        model,
        tmp_path / "out",
        again,
        restore_callback_states_from_checkpoint=restored,
        **settings,
    )
    trainer.train(resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-4"))
    again = next(c for c in trainer.callback_handler.callbacks if isinstance(c, type(again)))
    assert again.watch.symmetries == first.watch.symmetries
    whole, uninterrupted = lc.TransformersWatch(quiet=True), net()
    trainer_of(uninterrupted, tmp_path / "whole", whole, max_steps=9).train()
    check_rows(again.watch.steps, whole.watch.steps, rtol=1e-6)  # the first ones from a file
    run = lc.load(tmp_path / "run")
    assert list(run.steps["step"]) == list(range(9)) and run.status["state"] == "done"
    check_weights(model, uninterrupted)


@pytest.mark.slow
def test_a_checkpoint_of_an_unwatched_training_is_gone_on_with(tmp_path):
    settings = {"save_strategy": "steps", "save_steps": 3}
    trainer_of(net(), tmp_path, max_steps=3, **settings).train()
    watch = lc.TransformersWatch(quiet=True)
    trainer = trainer_of(net(), tmp_path, watch, max_steps=6, **settings)
    trainer.train(resume_from_checkpoint=True)
    assert list(watch.watch.steps["step"]) == [3, 4, 5]
    trainer.train()  # from the beginning
    assert list(watch.watch.steps["step"]) == list(range(6))


def test_a_training_that_raised_may_begin_again_with_its_callback(tmp_path):
    watch = lc.TransformersWatch(tmp_path / "run", quiet=True)
    trainer = trainer_of(net(), tmp_path / "out", watch, StopsAt(2))
    with pytest.raises(Interrupted):
        trainer.train()
    trainer.remove_callback(StopsAt)
    trainer.train()
    run = lc.load(tmp_path / "run")
    assert list(run.steps["step"]) == list(range(2 + 6)) and run.status["state"] == "done"
    assert run.steps["loss"].notna().all()


class Weighted(transformers.Trainer):
    """As people write it: the loss is theirs, the model's output holds another or none."""

    labelled = True

    def compute_loss(self, model, inputs, return_outputs=False, **_):
        labels = inputs["labels"] if self.labelled else inputs.pop("labels")
        output = model(**inputs)
        loss = 3 * cross_entropy(output["logits"], labels)
        return (loss, output) if return_outputs else loss


class Unlabelled(Weighted):
    labelled = False


@pytest.mark.parametrize(("kind", "logging_steps"), [(Weighted, 1), (Unlabelled, 2)])
def test_where_the_models_loss_is_not_what_is_trained_on_the_logged_one_is_taken(
    kind, logging_steps, tmp_path, capsys
):
    watch = lc.TransformersWatch(quiet=True)
    trainer = trainer_of(net(), tmp_path, watch, kind=kind, logging_steps=logging_steps)
    trainer.train()
    logged = {e["step"] - 1: e["loss"] for e in trainer.state.log_history if "loss" in e}
    told = watch.watch.steps.set_index("step")["loss"].dropna()
    assert told.to_dict() == pytest.approx(logged, rel=1e-6)
    assert ("a mean over its steps" in capsys.readouterr().err) == (logging_steps > 1)


def test_what_a_loss_is_multiplied_by_counts(tmp_path):
    class Halved(transformers.Trainer):
        def compute_loss(self, model, inputs, return_outputs=False, **_):
            loss = model(**inputs)["loss"]
            loss *= 0.5
            return loss

    watch = lc.TransformersWatch(quiet=True)
    trainer = trainer_of(net(), tmp_path, watch, kind=Halved)
    trainer.train()
    logged = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert watch.watch.steps["loss"].to_list() == pytest.approx(logged, rel=1e-5)


def test_a_jump_that_is_about_to_begin_is_called_out(tmp_path, monkeypatch):
    due = Forecast(1.0, 2.0, 3.0, alarm=True, calibrated=True, reason="")
    monkeypatch.setattr(lc.Watch, "forecast", lambda _: due)
    called = []
    watch = lc.TransformersWatch(on_alarm=called.append, forecast_every=1, quiet=True)
    trainer_of(net(), tmp_path, watch).train()
    assert called == [due]
    assert watch.forecast() is due


def test_without_transformers_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers.trainer_callback", None)
    with pytest.raises(UserError, match=r"pip install 'limitcycle\[transformers\]'"):
        lc.TransformersWatch()


def test_nothing_is_said_of_a_training_that_has_not_begun():
    with pytest.raises(UserError, match="has not begun"):
        lc.TransformersWatch().diagnosis()


def test_deepspeed_is_refused_by_its_optimizer():
    model = nn.Linear(2, 2)
    kind = type("DeepSpeedOptimizerWrapper", (torch.optim.SGD,), {})
    with pytest.raises(UserError, match="DeepSpeed keeps weights and gradients in flat buffers"):
        check(model, kind(model.parameters(), lr=0.1))


LEFT = """
import sys
import limitcycle as lc
from tests.integrations.test_transformers import StopsAt, net, trainer_of

class Raises(StopsAt):
    def on_step_begin(self, args, state, control, **_):
        if state.global_step == 2:
            raise {problem}("enough")

watch = lc.TransformersWatch(sys.argv[1])
trainer_of(net(), sys.argv[1] + "-out", watch, Raises(2)).train()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("problem", "state"), [("ZeroDivisionError", "failed"), ("KeyboardInterrupt", "stopped")]
)
def test_a_script_that_ends_badly_leaves_its_reason(problem, state, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(LEFT.format(problem=problem))
    command = [sys.executable, str(script), str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, env=HERE)
    assert done.returncode != 0 and problem in done.stderr
    run = lc.load(tmp_path / "run")
    assert list(run.steps["step"]) == [0, 1]
    assert run.status == {"state": state, "step": 2, "reason": f"{problem}: enough"}
