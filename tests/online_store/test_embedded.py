"""The store in one file: made by the first write, read by many processes while one writes."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading

import codec_cases as cases
import pytest

from featurestore.codec.encode import RowEncoder
from featurestore.codec.keys import key_space
from featurestore.errors import OnlineStoreError, OnlineStoreUnavailableError
from featurestore.online_store.base import WriteMode
from featurestore.online_store.embedded import EmbeddedStore

VIEW = cases.feature_view()
KEY = key_space("shop", VIEW).key(b"1")


def rows(run=1, customers=(1,)):
    return RowEncoder("shop", VIEW, run).encode(cases.batch_of(VIEW, [{"customer_id": customer} for customer in customers]))


def test_reading_makes_no_file(tmp_path):
    path = tmp_path / "store.db"
    store = EmbeddedStore(path)
    assert store.read([KEY]) == [None]
    assert store.read_documents("shop", ["registry"]) == [None]
    assert store.count(key_space("shop", VIEW)) == 0
    store.close()
    assert not path.exists()


def test_a_reader_that_came_first_sees_what_is_written_later(tmp_path):
    path = tmp_path / "store.db"
    reader, writer = EmbeddedStore(path), EmbeddedStore(path)
    assert reader.read([KEY]) == [None]
    writer.write(rows(), WriteMode.NEWEST_WINS)
    assert reader.read([KEY]) == [row for _, row in rows().pairs()]
    assert reader.write(rows(run=2), WriteMode.NEWEST_WINS) == 1
    assert writer.read([KEY]) == [row for _, row in rows(run=2).pairs()]
    reader.close()
    writer.close()


def test_an_empty_file_is_a_store_that_nothing_was_written_to(tmp_path):
    path = tmp_path / "store.db"
    path.touch()
    store = EmbeddedStore(path)
    assert store.read([KEY]) == [None]
    store.write(rows(), WriteMode.NEWEST_WINS)
    assert store.read([KEY]) != [None]
    store.close()


def test_another_process_reads_while_a_write_is_under_way(tmp_path):
    path = tmp_path / "store.db"
    store = EmbeddedStore(path)
    store.write(rows(), WriteMode.NEWEST_WINS)
    program = (
        "import sys; from pathlib import Path; from featurestore.online_store.embedded import EmbeddedStore; "
        "sys.exit(EmbeddedStore(Path(sys.argv[1])).read([sys.argv[2].encode()]) == [None])"
    )
    with sqlite3.connect(path, isolation_level=None) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM rows")
        assert subprocess.run([sys.executable, "-c", program, str(path), KEY.decode()], check=False).returncode == 0
        writer.execute("ROLLBACK")
    writer.close()
    store.close()


def test_a_writer_waits_for_another(tmp_path):
    path = tmp_path / "store.db"
    store = EmbeddedStore(path)
    store.write(rows(), WriteMode.NEWEST_WINS)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, other.execute, ["COMMIT"])
    release.start()
    assert store.write(rows(run=2), WriteMode.NEWEST_WINS) == 1
    release.join()
    other.close()
    store.close()


def test_a_write_that_fails_leaves_nothing_of_itself(tmp_path):
    class Interrupted(Exception):
        pass

    class BreakingRows:
        def __len__(self):
            return 2

        def pairs(self):
            yield from rows(run=2).pairs()
            raise Interrupted

    store = EmbeddedStore(tmp_path / "store.db")
    store.write(rows(), WriteMode.NEWEST_WINS)
    with pytest.raises(Interrupted):
        store.write(BreakingRows(), WriteMode.NEWEST_WINS)
    assert store.read([KEY]) == [row for _, row in rows().pairs()]
    store.close()


def test_more_keys_than_one_query_takes_are_read(tmp_path):
    store = EmbeddedStore(tmp_path / "store.db")
    written = rows(customers=range(3000))
    store.write(written, WriteMode.NEWEST_WINS)
    pairs = dict(written.pairs())
    for count in (1, 3, 17, 900, 901, 3000):
        keys = list(pairs)[:count]
        assert store.read([*keys, b"nothing"]) == [*(pairs[key] for key in keys), None]
    store.close()


def test_a_file_of_another_kind_is_named(tmp_path):
    path = tmp_path / "store.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(OnlineStoreError, match=r"store\.db"):
        EmbeddedStore(path).read([KEY])


def test_a_folder_that_is_not_there_is_named(tmp_path):
    store = EmbeddedStore(tmp_path / "missing" / "store.db")
    assert store.read([KEY]) == [None]
    with pytest.raises(OnlineStoreUnavailableError, match="missing"):
        store.write(rows(), WriteMode.NEWEST_WINS)


def test_a_file_that_was_deleted_answers_no_more(tmp_path):
    store = EmbeddedStore(tmp_path / "store.db")
    store.write(rows(), WriteMode.NEWEST_WINS)
    assert store.read([KEY]) != [None]
    for file in tmp_path.iterdir():
        file.unlink()
    assert store.read([KEY]) == [None]
    assert store.write(rows(), WriteMode.NEWEST_WINS) == 1
    assert store.read([KEY]) == [row for _, row in rows().pairs()]
    store.close()


def test_a_file_that_was_put_in_its_place_is_the_one_that_answers(tmp_path):
    store, other = EmbeddedStore(tmp_path / "store.db"), EmbeddedStore(tmp_path / "other.db")
    store.write(rows(run=2), WriteMode.NEWEST_WINS)
    other.write(rows(run=4), WriteMode.NEWEST_WINS)
    other.close()
    for left in tmp_path.glob("store.db-*"):
        left.unlink()
    (tmp_path / "other.db").replace(tmp_path / "store.db")
    assert store.read([KEY]) == [row for _, row in rows(run=4).pairs()]
    store.close()
