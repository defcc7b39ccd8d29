"""Pinyin and glosses: the list's reading, and in context the right one of several."""

import pytest

from megaservice.hsk import Grader, Lexicon, Standard

LEXICON = Lexicon.load()
GRADER = Grader(LEXICON)
IN_CONTEXT = """
他跑得很快。 得 de
他高兴得跳了起来。 得 de
你觉得他说得对吗？ 得 de
我得走了。 得 děi
你得多喝水。 得 děi
明天我得早点儿起床。 得 děi
我还得写作业。 得 děi
她得了第一名。 得 dé
他得了金牌。 得 dé
他得了金牌。 了 le
爷爷得了大奖。 得 dé
他高高兴兴地走了。 地 de
她慢慢地说。 地 de
他认真地学习汉语。 地 de
这块地很大。 地 dì
这里的地很湿。 地 dì
我吃了饭就去。 了 le
别忘了带伞。 了 le
我吃不了这么多。 了 liǎo
他一个人喝得了吗？ 了 liǎo
门开着呢。 着 zhe
他看着我笑。 着 zhe
妈妈正忙着做饭。 着 zhe
我睡不着。 着 zháo
我的书找着了。 着 zháo
我去过北京。 过 guo
你吃过饺子吗？ 过 guo
明天我过生日。 过 guò
过马路要小心。 过 guò
他过得很好。 过 guò
我们去公园玩儿。 玩儿 wánr
你去哪儿？ 哪儿 nǎr
我有一个儿子。 儿子 érzi
他还没来。 还 hái
你还好吗？ 还 hái
我要去图书馆还书。 还 huán
请把钱还给我。 还 huán
他把书还了。 还 huán
这条路很长。 长 cháng
我等了很长时间。 长 cháng
他长得很高。 长 zhǎng
弟弟长得像爸爸。 长 zhǎng
这样行吗？ 行 xíng
干什么都行。 行 xíng
请看第三行。 行 háng
我们班有三十行字。 行 háng
一只猫。 只 zhī
我只喝茶。 只 zhǐ
看看这个。 看看 kànkan
好不好？ 好不好 hǎobuhǎo
朋友们，你们好！ 朋友们 péngyoumen
我叫张伟。 张伟 Zhāng\u00a0Wěi
她是高老师。 高 Gāo
曾先生在吗？ 曾 Zēng
我想去上海。 上海 Shànghǎi
五月六号。 五月六号 wǔyuèliùhào
""".strip().splitlines()


@pytest.mark.parametrize("standard", Standard)
@pytest.mark.parametrize("line", IN_CONTEXT)
def test_the_reading_is_right_where_the_word_stands(line: str, standard: Standard) -> None:
    text, word, pinyin = line.split(" ")
    tokens = GRADER.grade(text, 6, standard).tokens
    assert [token.pinyin for token in tokens if token.word == word] == [pinyin.replace("\u00a0", " ")]


@pytest.mark.parametrize("standard", Standard)
def test_every_listed_word_has_a_reading_of_its_list(standard: Standard) -> None:
    words = LEXICON.lists[standard]
    wrong = {}
    for word in words.levels:
        tokens = GRADER.grade(word, 6, standard).tokens
        if len(tokens) != 1 or tokens[0].pinyin not in words.readings(word):
            wrong[word] = [(token.word, token.pinyin) for token in tokens]
    assert wrong == {}


def test_the_gloss_goes_with_the_reading() -> None:
    glosses = {text: GRADER.grade(text, 6).tokens[at].gloss for text, at in [("这条路很长。", 4), ("他长得很高。", 1)]}
    assert (glosses["这条路很长。"] or "").startswith("length; long")
    assert "chief" in (glosses["他长得很高。"] or "") or "grow" in (glosses["他长得很高。"] or "")


def test_nearly_every_listed_word_has_a_gloss() -> None:
    words = LEXICON.lists[Standard.HSK_2025].levels
    without = [word for word in words if len(word) < 5 and not GRADER.grade(word, 6).tokens[0].gloss]
    assert len(without) <= 0.02 * len(words)


def test_digits_and_latin_names_have_no_pinyin() -> None:
    assert [token.pinyin for token in GRADER.grade("25，Anna。", 1, names=["Anna"]).tokens] == [None, None]
