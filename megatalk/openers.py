"""First lines for who does not know how to begin, in words of each level, with pinyin and in the other language."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Opener:
    """`pinyin` is of Chinese only, `translation` in the interface's other language."""

    text: str
    translation: str
    pinyin: str = ""


OPENERS: Final = {
    "Free": (
        Opener("你好！我想学中文。", "Hello! I want to learn Chinese.", "nǐhǎo! wǒ xiǎng xué Zhōngwén."),
        Opener("今天天气怎么样？", "What is the weather like today?", "jīntiān tiānqì zěnmeyàng?"),
        Opener("你喜欢吃什么？", "What do you like to eat?", "nǐ xǐhuan chī shénme?"),
    ),
    "1": (
        Opener("你好！", "Hello!", "nǐhǎo!"),
        Opener("你叫什么名字？", "What is your name?", "nǐ jiào shénme míngzi?"),
        Opener("你喜欢喝茶吗？", "Do you like to drink tea?", "nǐ xǐhuan hē chá ma?"),
    ),
    "2": (
        Opener("你今天忙吗？", "Are you busy today?", "nǐ jīntiān máng ma?"),
        Opener("我们一起去吃饭吧。", "Let's go and eat together.", "wǒmen yìqǐ qù chīfàn ba."),
        Opener("你最喜欢什么颜色？", "What is your favourite colour?", "nǐ zuì xǐhuan shénme yánsè?"),
    ),
    "3": (
        Opener("周末你打算做什么？", "What are your plans for the weekend?", "zhōumò nǐ dǎsuàn zuò shénme?"),
        Opener("你喜欢什么季节？", "Which season do you like?", "nǐ xǐhuan shénme jìjié?"),
        Opener("我想学做中国菜。", "I want to learn to cook Chinese food.", "wǒ xiǎng xué zuò Zhōngguó cài."),
    ),
    "4": (
        Opener("你对什么工作感兴趣？", "What work interests you?", "nǐ duì shénme gōngzuò gǎnxìngqù?"),
        Opener("我打算去中国旅行。", "I am planning a trip to China.", "wǒ dǎsuàn qù Zhōngguó lǚxíng."),
        Opener("最近有什么好看的电影？", "Are there any good films lately?", "zuìjìn yǒu shénme hǎokàn de diànyǐng?"),
    ),
    "5": (
        Opener("你觉得城市生活怎么样？", "What do you think of city life?", "nǐ juéde chéngshì shēnghuó zěnmeyàng?"),
        Opener("怎样才能养成好习惯？", "How does one form good habits?", "zěnyàng cái néng yǎngchéng hǎo xíguàn?"),
        Opener(
            "谈谈中国的传统节日吧。",
            "Let's talk about China's traditional festivals.",
            "tántan Zhōngguó de chuántǒng jiérì ba.",
        ),
    ),
    "6": (
        Opener("你怎么看人工智能？", "What do you think of artificial intelligence?", "nǐ zěnme kàn réngōngzhìnéng?"),
        Opener(
            "谈谈环境保护的困难。",
            "Let's talk about what makes it hard to protect nature.",
            "tántan huánjìng bǎohù de kùnnan.",
        ),
        Opener(
            "你最欣赏哪个成语故事？",
            "Which story behind an idiom do you like best?",
            "nǐ zuì xīnshǎng nǎge chéngyǔ gùshi?",
        ),
    ),
}
ENGLISH_OPENERS: Final = (
    Opener("Hello! How are you today?", "你好！你今天怎么样？"),
    Opener("Let's talk about food.", "我们谈谈吃的吧。"),
    Opener("Tell me about your favourite season.", "你最喜欢哪个季节？"),
)
