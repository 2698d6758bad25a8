# make demo      install wordgen's requirements, train on a bundled text, and write with the model (two to four minutes)
# make test      install what the tests need, and run all tests
# make check     run what CI runs: format, lint, types, import contracts, tests
# make bench     compare the training speed with PyTorch and Keras (45 minutes at most; the machine should do nothing
#                else); only some rows: make bench ROWS=defaults,large ROUNDS=3 MINUTES=10
# make bench-peers   install PyTorch and Keras for the comparison into an environment of their own (.peers)
# make bench-memory  compare the memory of trainings with the plan (an hour at most)
# make bench-growth  measure how the cost grows with vocabulary, units, layers, seq len, batch size and corpus
# make bench-curves  measure perplexity against seconds: wordgen and PyTorch on WikiText-2 and Tiny Shakespeare
# make records   add a row for each of the three texts of docs/records.md (takes hours)
#                bench-growth, bench-curves and records continue where they stopped
# make bench-rest    measure everything else in docs/benchmarks.md (half an hour); TORCH_PYTHON=... is a Python with
#                PyTorch to compare with; ENGLISH="..." and JAPANESE="..." are texts larger than the bundled ones;
#                ROUND_TRIP="..." are files or names of texts to split and join again
# make soak      kill and resume a training a hundred times, alone and as one of two processes, run the commands of the
#                README with the whole training, and run all tests with random examples (more than an hour)
# make pictures  make the pictures in docs/pictures from real runs (five minutes; needs Chromium)
# make sweeps    run the sweeps that come with wordgen and copy their curves to docs/pictures (more than two hours; if
#                it is stopped, the same command continues it)
# make tidy      format the code

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PEERS ?= .peers
ROWS ?=
ROUNDS ?= 7
MINUTES ?= 45
BENCH = PYTHONPATH=. $(BIN)/python
ENGLISH ?= data/lotr.txt data/fables.txt data/spells.txt
JAPANESE ?= data/lyrics.txt
ROUND_TRIP ?= # the bundled English texts
QUIET_PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test check bench bench-peers bench-memory bench-growth bench-curves records bench-rest soak pictures sweeps tidy

demo: $(VENV)/.runs
	$(BIN)/python train.py --corpus lotr --seq-len 15 --layers 3
	$(BIN)/python generate.py --seed Aragorn --mode sample
	@echo
	@echo "Try it yourself:       . $(BIN)/activate"
	@echo "                       python generate.py --model lotr --seed Gandalf --temperature 0.5 --count 3"
	@echo "See the curves:        tensorboard --logdir saved_models"

test: $(VENV)/.develops
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

check: $(VENV)/.develops
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright --pythonpath $(BIN)/python
	PYTHONPATH=. $(BIN)/lint-imports --no-cache
	$(MAKE) test

bench: $(VENV)/.develops
	$(BENCH) bench/training.py --rows "$(ROWS)" --rounds $(ROUNDS) --minutes $(MINUTES) --peer-python $(PEERS)/bin/python
	$(BENCH) bench/document.py

bench-peers: $(VENV)/bin/python
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r bench/requirements-peers.txt

bench-memory: $(VENV)/.develops
	$(BENCH) bench/memory.py --minutes $(MINUTES)
	$(BENCH) bench/document.py

bench-growth: $(VENV)/.develops
	$(BENCH) bench/growth.py --minutes $(MINUTES)
	$(BENCH) bench/document.py

bench-curves: $(VENV)/.develops
	for text in wikitext-2 shakespeare; do \
	  $(BENCH) bench/curves.py $$text --minutes $(MINUTES) --peer-python $(PEERS)/bin/python || exit; \
	done
	$(BENCH) bench/document.py

records: $(VENV)/.develops
	$(BENCH) bench/records.py wikitext-2 small --minutes $(MINUTES)
	$(BENCH) bench/records.py shakespeare book --minutes $(MINUTES)
	$(BENCH) bench/records.py lotr book --minutes $(MINUTES)
	$(BENCH) bench/document.py

bench-rest: $(VENV)/.develops
	$(BENCH) bench/scaling.py
	$(BENCH) bench/checkpoints.py
	$(BENCH) bench/tokenizers.py
	$(BENCH) bench/encoding.py $(ENGLISH)
	$(BENCH) bench/encoding.py $(JAPANESE)
	$(BENCH) bench/evaluation.py
	$(BENCH) bench/generation.py $(TORCH_PYTHON)
	$(BENCH) bench/round_trip.py $(ROUND_TRIP)

soak: $(VENV)/.develops
	WORDGEN_KILLS=100 $(BIN)/python -m pytest tests/laws/test_resume.py tests/laws/test_workers.py \
	  -k "kill_at_random or kill_of_one_worker"
	WORDGEN_WHOLE_README=1 $(BIN)/python -m pytest tests/test_readme.py -k train_generate_and_evaluate
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --hypothesis-profile random

pictures: $(VENV)/.develops
	$(BIN)/python -m tests.helpers.pictures

sweeps: $(VENV)/.develops
	for sweep in five-networks cells optimizers options; do \
	  $(BIN)/python -m wordgen sweep $$sweep || exit; \
	  for kind in svg png; do cp saved_models/$$sweep/curves.$$kind docs/pictures/sweep-$$sweep.$$kind; done; \
	done

tidy: $(VENV)/.develops
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "wordgen needs Python 3.11, 3.12 or 3.13. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runs: $(VENV)/bin/python requirements.txt
	@echo "Installing the requirements into $(VENV) (TensorFlow is large: this takes a minute or two) ..."
	$(QUIET_PIP) -r requirements.txt
	@touch $@

$(VENV)/.develops: $(VENV)/.runs requirements-dev.txt requirements-web.txt requirements-onnx.txt requirements-music.txt
	$(QUIET_PIP) -r requirements-dev.txt
	@touch $@
