"""Transformers' trainer under watch: ``python examples/transformers_example.py [folder] [steps]``.

A small BERT learns to tell odd first tokens from even ones; nothing is downloaded.
"""

import sys

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

import limitcycle as lc  # ← limitcycle, line 1

folder = sys.argv[1] if len(sys.argv) > 1 else "runs/transformers"
steps = int(sys.argv[2]) if len(sys.argv) > 2 else 300

torch.manual_seed(0)
tokens = torch.randint(50, (2000, 8))
examples = [{"input_ids": row, "labels": row[0] % 2} for row in tokens]
config = BertConfig(
    vocab_size=50,
    hidden_size=32,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=64,
    max_position_embeddings=8,
)
settings = TrainingArguments(
    output_dir=f"{folder}-checkpoints",
    max_steps=steps,
    per_device_train_batch_size=32,
    learning_rate=1e-3,
    weight_decay=0.1,
    logging_steps=100,
    save_strategy="no",
    report_to="none",
    use_cpu=True,
    disable_tqdm=True,
)
trainer = Trainer(
    BertForSequenceClassification(config),
    settings,
    train_dataset=examples,
    callbacks=[lc.TransformersWatch(folder)],  # ← limitcycle, line 2
)
trainer.train()
