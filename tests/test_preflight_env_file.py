"""The .env file: read without python-dotenv, and the faults of its form."""

from pathlib import Path

import pytest

from preflight import env_file


def test_env_file_is_read_without_python_dotenv(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(
        "# ports\nMEGATALK_PORT=8600\nexport LOG_DIR = 'my logs'  # ours\nnonsense\nLLM_API_KEY=a#b\nEMPTY=\n"
    )
    assert env_file.read(file) == {
        "MEGATALK_PORT": "8600",
        "LOG_DIR": "my logs",
        "LLM_API_KEY": "a#b",
        "EMPTY": "",
    }
    assert env_file.read(tmp_path / "none") == {}


def test_last_value_of_a_name_counts(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("LLM_TOP_P=1\nLLM_TOP_P=0.5\n")
    assert env_file.read(file) == {"LLM_TOP_P": "0.5"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"# nothing\n\n",
        "LLM_MODEL_ID=a  # 说明\nLLM_API_KEY='a b = c'\n".encode(),
        b"LLM_API_KEY=\nLLM_TOP_P= # none\n",
    ],
)
def test_good_form_has_no_fault(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / ".env"
    file.write_bytes(content)
    assert env_file.faults(file) == []


def test_file_that_is_not_there_has_no_fault(tmp_path: Path) -> None:
    assert env_file.faults(tmp_path / ".env") == []


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            "LLM_TOP_P=1\nMEGATALK_MODEL_NOTE=é\n".encode("latin-1"),
            ".env: line 2 is not in UTF-8; save the file as UTF-8 without a byte order mark",
        ),
        (
            "LLM_TOP_P=1\n".encode("utf-16"),
            ".env: line 1 is not in UTF-8; save the file as UTF-8 without a byte order mark",
        ),
        (b"\xef\xbb\xbfLLM_TOP_P=1\n", ".env: begins with a byte order mark; save it as UTF-8 without one"),
        (b"LLM_TOP_P=1\r\nLOG_LEVEL=INFO\r\n", ".env: its lines end in CRLF, wants LF; write `sed -i 's/\\r$//' .env`"),
        (
            b"# ours\nexport LLM_TOP_P=1\nexport LOG_LEVEL=INFO\n",
            ".env: line 2 begins with `export`, which only a shell knows; begin it with LLM_TOP_P=",
        ),
        (b"LLM_TOP_P = 1\n", ".env: line 1 has a space beside its `=`; write LLM_TOP_P=..."),
        (b"LLM_TOP_P= 1\n", ".env: line 1 has a space beside its `=`; write LLM_TOP_P=..."),
        (b"LLM_TOP_P: 1\n", ".env: line 1 is no NAME=value; begin it with `#` or write the value"),
    ],
)
def test_each_fault_of_form_is_one_line(tmp_path: Path, content: bytes, line: str) -> None:
    file = tmp_path / ".env"
    file.write_bytes(content)
    assert env_file.faults(file) == [line]
