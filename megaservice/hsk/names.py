"""Names of people: what a surname, a given name and their company look like."""

from megaservice.hsk.wordset import word_set

SURNAMES = frozenset(
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田"
    "任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文关岳柳齐梅庄童温莫安翟殷詹闫涂"
    "鲁葛俞柯焦颜倪严牛霍左耿芦申祝章骆倪欧阎"
)
TWO_CHARACTER_SURNAMES = word_set("欧阳 司马 诸葛 上官 司徒 东方 令狐 慕容 夏侯 皇甫 尉迟 公孙 端木")
# Also words of their own: a name only where something beside them says so.
AMBIGUOUS_SURNAMES = frozenset(
    "黄周高林何马谢程许夏钟田任方石金白毛江史龙万段雷钱汤易常武关文齐梅温莫安牛左祝章申严庄童熊孔顾贺康叶"
)
TITLES = word_set(
    "先生 小姐 女士 太太 夫人 老师 医生 大夫 护士 经理 总经理 校长 院长 部长 市长 主任 主席 总统 教授 博士 律师 "
    "师傅 司机 警察 同学 老板 队长 班长 阿姨 叔叔 爷爷 奶奶 大哥 大姐 大爷 大妈 局长 总 工 记者 导演 教练 秘书 "
    "同志"
)
GIVEN_CHARACTERS = frozenset(
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉萍红飞鹏辉玲燕波斌宇浩凯健俊帆雪荣志建国海龙梅兰琴云莉鑫帅倩婷欣怡佳"
    "嘉琪雨晨轩梓涵子豪思慧颖璐瑶晓东峰坤旭阳晶莹文武学林森彬博昊然诗雅梦洁美美琳琦瑞祥福春秋冬冰月亮星清泉江河山松柏小大成"
    "立新永胜利民安康宁德仁义信忠诚毅泽睿哲翔天宏鸿达贵富庆生光晖朋友备羽飞亮操白甫迅舍金盛世悦悠乐心爱珍珠宝凤仙菊荷莲蓉"
    "薇蕾妮娅露丝芝芬芸菁菲萱"
)
# Textbooks' people: 小 and one of these.
LITTLE_NAMES = frozenset(
    "明红华丽芳强刚军兰梅英玲燕龙东云文美雨雪月娜静敏杰伟勇林宝玉春夏秋琳婷倩莉佳晓青波海峰平超亮飞"
)
TRANSLITERATION = frozenset(
    "阿埃艾安奥巴贝本比彼波伯布查达大戴丹道德邓迪蒂丁杜顿多恩尔法菲费芬弗福盖戈格哈汉赫亨华霍基吉加杰金卡凯康柯科克肯库拉莱兰朗劳"
    "雷里丽利莉琳林卢鲁路伦罗洛马玛迈麦曼梅米密摩莫姆穆娜内尼妮纽诺欧帕佩皮普奇乔琼塞森沙莎珊史斯丝苏索塔泰汤特提图托瓦维温沃"
    "乌伍西希夏肖谢辛雅亚伊约泽詹珍朱兹姬黛薇蕾露芭婷妲娅缇萝"
)
# A name stands behind these; 是 only behind a person.
NAMING = ("叫", "叫做", "名叫", "姓")
NOT_IN_NAMES = frozenset("我你您他她它咱谁们的了吗呢吧是不什么怎这那哪很也都就在有和跟去来吃喝看说做")
