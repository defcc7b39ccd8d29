"""Which reading a character of several has where it stands: 得 地 了 着 过 儿 还 长 行 and the commonest others."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from megaservice.hsk.grades import Origin
from megaservice.hsk.segmenter import Piece


@dataclass(frozen=True, slots=True)
class Context:
    """What stands beside a word: the text of its clause, the words next to it and what part of speech they may be."""

    left: str
    right: str
    before: Piece | None
    after: Piece | None
    parts_before: str
    parts_two_before: str
    parts_after: str


_COUNTED = "(?:[一二三四五六七八九十两几半多百千]|\\d)$"


def _either(pattern_left: str, pattern_right: str, then: str, otherwise: str | None) -> Callable[[Context], str | None]:
    left, right = re.compile(pattern_left), re.compile(pattern_right)

    def choose(context: Context) -> str | None:
        return then if left.search(context.left) and right.match(context.right) else otherwise

    return choose


def _de(context: Context) -> str | None:
    """得: after a verb or adjective `de`, before what is gained `dé`, where it means must `děi`."""
    if re.search("[还也就都总只又可必非才]$|觉得$|一定$|[我你您他她它们谁]$|今天$|明天$|现在$|[早晚]上$", context.left):
        return "dé" if re.match("[到奖病分了过第]", context.right) else "děi"
    if context.right.startswith("了") and "动" not in context.parts_before:
        return "dé"
    if not context.left or re.match("[到奖病]|第[一二三]", context.right):
        return "dé" if context.right and not context.right.startswith("[早快]") else None
    if context.before is not None and context.before.origin is Origin.REDUPLICATED:
        return "de"
    return "de" if re.search("[动形]", context.parts_before) or not context.parts_before else "děi"


def _di(context: Context) -> str | None:
    """地: between how and what is done `de`, else the ground."""
    if not context.right or re.match("[上下里面的很是有方点也就都不太真在]", context.right) or context.before is None:
        return "dì"
    is_manner = (
        context.before.origin is Origin.REDUPLICATED
        or len(context.before.word) >= 3
        or bool(re.search("[形副]", context.parts_before))
        or (len(context.before.word) == 2 and "动" in context.parts_after)
    )
    return "de" if is_manner and not re.search("[这那块种大满草]$", context.left) else "dì"


def _le(context: Context) -> str | None:
    """了: behind a verb and 得 or 不 can one finish it, `liǎo`."""
    is_split_by = context.before is not None and context.before.word in ("得", "不")
    return "liǎo" if is_split_by and "动" in context.parts_two_before else "le"


def _zhe(context: Context) -> str | None:
    if re.search("(?:睡|找|点|猜|买|够|管|用|犯|摸|碰)(?:不|得)?$|见不$", context.left):
        got = re.search("(?:不|得)$", context.left) or re.match("了|$|的时候|吗|吧|以后", context.right)
        return "zháo" if got and not re.search("正在?[睡找点猜买]$", context.left) else "zhe"
    if re.match("[火凉迷]", context.right):
        return "zháo"
    return "zhe" if context.before is not None else None


def _guo(context: Context) -> str | None:
    """过: experience behind a verb `guo`, else to pass `guò`."""
    if context.before is None or re.search("[再先又还也都就想要会能不没去来在怎么样你我他她们天年]$", context.left):
        return "guo" if re.search("[去来]$", context.left) and not re.match("[年节生马]", context.right) else "guò"
    if re.search("[走跑通经度超错路飞穿越跳开][得不]?$", context.left) and re.match(
        "[来去这那了一马河桥门山]", context.right
    ):
        return "guò"
    if re.search("从.*[走跑开飞]$", context.left):
        return "guò"
    if "动" in context.parts_before or "形" in context.parts_before or context.left.endswith("得"):
        return "guò" if re.search("[得不]$", context.left) else "guo"
    return "guò"


def _hai(context: Context) -> str | None:
    """还: to give back before what is given, or at the end of a clause behind 要 or 来."""
    given = (
        "书|钱|[给你他她我车]|债|清|款|礼|手机|东西|了|完|图书|伞|回|一本|那本|这本|衣服|雨伞|笔|词典|照相机|不还|房"
    )
    if re.match(given, context.right) and not re.match(
        "你好|我[是会想要在有没不]|[他她你]们?[是会想要在有没不]|了解", context.right
    ):
        return "huán"
    return "huán" if not context.right and re.search("[来去要没不会能再先快]$", context.left) else "hái"


def _chang(context: Context) -> str | None:
    """长: to grow or to look `zhǎng`, long `cháng`."""
    if re.match("[大得高成出满胖]|[了着][一两三四几很满]|在(?!一)", context.right) and not re.search(
        "[很太这那最更真多有]$", context.left
    ):
        return "zhǎng"
    return (
        "zhǎng"
        if re.search("[校市院部队班组会船家处厂局生成]$", context.left) and not context.left.endswith("人家")
        else "cháng"
    )


def _xing(context: Context) -> str | None:
    """行: a row or a trade `háng`, else `xíng`."""
    if re.search("[一二两三四五六七八九十几每这那哪同本各内外改][一二三]?$|第[一二三四五六七八九十]+$", context.left):
        return (
            "xíng" if re.match("[吗啊不吧的]|了", context.right) and not re.search("[第几]", context.left) else "háng"
        )
    return "háng" if re.match("[业列情]", context.right) else "xíng"


_RULES: dict[str, Callable[[Context], str | None]] = {
    "得": _de,
    "地": _di,
    "了": _le,
    "着": _zhe,
    "过": _guo,
    "还": _hai,
    "长": _chang,
    "行": _xing,
    "好": _either("", "(?:学|奇|客|斗)(?!习|校|生)", "hào", "hǎo"),
    "只": _either(_COUNTED.replace("$", "") + "$|[这那哪每]$", "", "zhī", "zhǐ"),
    "为": _either("[成作认称分变以选评当]$", "", "wéi", "wèi"),
    "种": _either(
        "(?<![一二两三四五六七八九十几这那哪每各多])$", "[了着]?(?:树|花|菜|地|水果|田|草)|上了|在|下", "zhòng", "zhǒng"
    ),
    "重": _either("", "新|复|来|做|写|说|开|看|读|返|庆|考|建", "chóng", "zhòng"),
    "空": _either("[有没抽]$|(?:有|没有|有点)$", "", "kòng", "kōng"),
    "干": _either("[饼晒擦吹]$|很$|太$|不$", "(?!什|活|吗|嘛|得|好|完|了|这|净)|净|了$", "gān", "gàn"),
    "数": _either("", "一数|数|了|到|不清|得|完|钱", "shǔ", "shù"),
    "倒": _either("", "(?!了|下|在)", "dào", "dǎo"),
    "发": _either("[头理美]$", "", "fà", "fā"),
    "背": _either("", "着|包|书包|上", "bēi", "bèi"),
    "看": _either("", "(?:家|门|孩子|守|护)(?!长)", "kān", "kàn"),
    "当": _either("", "(?:成|作|做)", "dàng", "dāng"),
    "转": _either("", "了?[一两]?圈|来转去", "zhuàn", "zhuǎn"),
    "假": _either("[放请休年寒暑长]了?[一二三几]?[天个]?$", "", "jià", "jiǎ"),
    "教": _either("[宗佛道信]$", "", "jiào", "jiāo"),
    "分": _either("[成部过]$", "", "fèn", "fēn"),
    "切": _either("[一亲密]$", "", "qiè", "qiē"),
    "片": _either("[照动相唱影]$", "子", "piān", "piàn"),
    "角": _either("[主配]$", "色", "jué", "jiǎo"),
    "调": _either("", "[整节解和味皮高低小]", "tiáo", "diào"),
    "量": _either("", "[一体了]", "liáng", "liàng"),
    "处": _either("[到好坏益用长短这那四各]$", "", "chù", "chǔ"),
    "传": _either("[自小水]$", "记", "zhuàn", "chuán"),
    "中": _either("[射打击投命猜]$|^中?$", "奖|毒|暑|了|目标|$", "zhòng", "zhōng"),
    "啊": _either("^$", "[，！]", "ā", "a"),
}


def reading_in_context(character: str, context: Context) -> str | None:
    """None where nothing beside the character decides."""
    rule = _RULES.get(character)
    return rule(context) if rule else None
