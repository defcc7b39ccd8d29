"""SQLWords: the saved words."""

from sqlalchemy import Connection, Row, and_, delete, or_, select

from megaservice.hsk.grades import Standard
from megaservice.records import SavedWord
from megaservice.store.tables import words
from megaservice.store.transactions import Transactions, storable


class SQLWords(Transactions):
    """Fulfils protocols.WordStore."""

    async def word(self, word: str) -> SavedWord | None:
        rows = await self._read(lambda connection: connection.execute(select(words).where(words.c.word == word)).all())
        return _word(rows[0]) if rows else None

    async def words(
        self, *, limit: int, search: str = "", before: tuple[int, str] | None = None
    ) -> tuple[SavedWord, ...]:
        wanted = select(words).order_by(words.c.saved_at_ms.desc(), words.c.word.desc()).limit(limit)
        if before is not None:
            saved_at_ms, word = before
            same_time = and_(words.c.saved_at_ms == saved_at_ms, words.c.word < word)
            wanted = wanted.where(or_(words.c.saved_at_ms < saved_at_ms, same_time))
        if search:
            wanted = wanted.where(words.c.search.icontains(storable(search), autoescape=True))
        rows = await self._read(lambda connection: connection.execute(wanted).all())
        return tuple(map(_word, rows))

    async def save_word(self, word: SavedWord, search: str) -> SavedWord:
        values = {name: getattr(word, name) for name in _FIELDS} | {"search": search}
        renewed = {name: value for name, value in values.items() if name not in ("word", "saved_at_ms")}
        change = self._insert(words).values(**values).on_conflict_do_update(index_elements=["word"], set_=renewed)

        def upsert(connection: Connection) -> SavedWord:
            connection.execute(change)
            return _word(connection.execute(select(words).where(words.c.word == word.word)).one())

        return await self._write(upsert)

    async def forget_word(self, word: str) -> None:
        await self._write(lambda connection: connection.execute(delete(words).where(words.c.word == word)))


_FIELDS = SavedWord.__slots__


def _word(row: "Row[tuple[object, ...]]") -> SavedWord:
    told = row._mapping
    return SavedWord(**{name: told[name] for name in _FIELDS} | {"standard": Standard(told["standard"])})
