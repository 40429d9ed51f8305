"""The current values of a feature service or a list of features over HTTP: rows for rows, columns for columns."""

from __future__ import annotations


def test_rows_are_answered_with_rows(client):
    answer = client.post("/v1/features", json={"features": "churn", "rows": [{"customer_id": 1}, {"customer_id": 2}]})
    assert answer.status_code == 200
    assert answer.json() == {
        "rows": [
            {"customer_id": 1, "orders_7d": 3, "spent": 9.5, "city": "Riga"},
            {"customer_id": 2, "orders_7d": 1, "spent": None, "city": None},
        ]
    }


def test_columns_are_answered_with_columns(client):
    asked = {"features": ["orders:spent"], "columns": {"customer_id": [2, 1]}, "full_feature_names": True}
    assert client.post("/v1/features", json=asked).json() == {"columns": {"customer_id": [2, 1], "orders__spent": [None, 9.5]}}


def test_an_unknown_service_is_named_with_the_nearest(client):
    answer = client.post("/v1/features", json={"features": "chrun", "rows": [{"customer_id": 1}]}, headers={"x-request-id": "abc"})
    assert answer.status_code == 404
    assert answer.headers["x-request-id"] == "abc"
    assert answer.json() == {
        "error": {"code": "unknown_name", "message": "No feature service named 'chrun'. Did you mean 'churn'?", "request_id": "abc"}
    }


def test_the_server_lives_and_is_ready(client):
    assert (client.get("/health").status_code, client.get("/health").content) == (200, b"")
    assert client.get("/ready").json() == {"project": "shop", "feature_views": 2, "feature_services": 1}
