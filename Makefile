# make demo    set up, learn the bundled text, write with what was learned (about five minutes)
# make test    set up, run every test
# make check   what CI runs: format, lint, types, import contracts, tests
# make bench   how fast wordgen trains beside its peers, in turns (45 minutes at most; on a machine that does nothing
#              else); some rows alone: make bench ROWS=defaults,large ROUNDS=3 MINUTES=10
# make bench-peers   install the peers, PyTorch and stock Keras, into an environment of their own (.peers)
# make bench-memory  how much memory trainings need, beside the plan (an hour at most)
# make bench-growth  how the cost grows with vocabulary, units, layers, seq len, batch size, corpus (goes on where it stopped)
# make bench-curves  perplexity against seconds, wordgen and PyTorch on WikiText-2 and Tiny Shakespeare (goes on, too)
# make records   a row for each of the three texts of docs/records.md (hours; goes on where it stopped)
# make bench-rest    all else that docs/benchmarks.md tells (half an hour; TORCH_PYTHON=... names a Python that has
#              PyTorch, to be compared with; ENGLISH="..." and JAPANESE="..." larger texts than the bundled ones;
#              ROUND_TRIP="..." those that are to come back, by file or by name)
# make soak    kill and resume a training a hundred times, alone and as one of two (about half an hour)
# make pictures  take the pictures in docs/pictures anew, from real runs (five minutes; needs Chromium)
# make sweeps  run the sweeps that come with wordgen to their end (more than two hours, and it can be stopped
#              and goes on), and put their curves into docs/pictures
# make tidy    put code into the project's format

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
QUIET_PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test check bench bench-peers bench-memory bench-growth bench-curves records bench-rest soak pictures sweeps tidy

demo: $(VENV)/.runs
	$(BIN)/python train.py --corpus lotr --seq-len 15 --layers 3
	$(BIN)/python generate.py --seed Aragorn --mode sample
	@echo
	@echo "Now try it yourself:   . $(BIN)/activate"
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
	  -k "killed_at_random or one_of_two_killed"

pictures: $(VENV)/.develops
	$(BIN)/python -m tests.pictures

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
	  { echo "wordgen needs Python 3.11, 3.12 or 3.13: try  make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runs: $(VENV)/bin/python requirements.txt
	@echo "Installing what wordgen needs into $(VENV) (TensorFlow is large: a minute or two) ..."
	$(QUIET_PIP) -r requirements.txt
	@touch $@

$(VENV)/.develops: $(VENV)/.runs requirements-dev.txt requirements-web.txt requirements-onnx.txt
	$(QUIET_PIP) -r requirements-dev.txt
	@touch $@
