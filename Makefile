.PHONY: help setup demo check test golden bench
help:   ## What there is.
	@grep -E '^[a-z]+: ' Makefile | sed 's/: *##/  /'
setup:  ## The virtual environment, in .venv.
	python3 dev.py setup
demo:   ## The main job on real flights.
	python3 dev.py demo
check:  ## Format, lint, types, imports.
	python3 dev.py check
test:   ## The checks and all tests.
	python3 dev.py test
golden: ## Write the golden files anew; then read the diff.
	UPDATE_GOLDEN=1 .venv/bin/python -m pytest -q tests
bench:  ## Every benchmark beside its floor.
	python3 dev.py bench
