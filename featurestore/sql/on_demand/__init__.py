"""Expressions of features on demand: read into typed trees (`grammar`), and put into a warehouse's SQL (`build`)."""
