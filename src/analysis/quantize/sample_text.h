#pragma once
#include <string_view>

namespace hadal {

/// A page of prose, arithmetic, code and Chinese, written for this program.
inline constexpr std::string_view kSampleText = R"(The harbour wakes before the town does. At half past four the first
boats come back, their decks wet and their crews too tired to talk, and the gulls arrive with them as if they had been
told the hour. Crates of mackerel slide along the stone; somebody counts them aloud, loses the number, and begins again.
By six the auction is over. What is left on the quay is ice, a few scales that shine like coins, and an old man who
sweeps the same ten metres every morning. He says that he does not do it for the money. He does it because a clean quay
is the only thing in the world that he can finish before breakfast.

When people speak of memory they often mean two different things. One is the store of facts: the capital of Portugal, the
boiling point of water, the name of a teacher. The other is skill, which the hands keep even when the mind has let go of
it. A pianist who has not played for a year may be unable to say which note comes next, and yet play it. The difference
matters for anyone who designs machines, because the first kind can be written down and the second kind has to be learned.

Problem. A train leaves at 9:15 and travels 156 km at 72 km/h, stops for 20 minutes, and then goes on for another 90 km at
60 km/h. When does it arrive? The first part takes 156 / 72 = 2 h 10 min, so the stop begins at 11:25 and ends at 11:45.
The second part takes 90 / 60 = 1.5 h. The train arrives at 13:15.

def median(values):
    """The middle value; the mean of the two middle ones when their number is even."""
    ordered = sorted(values)
    n = len(ordered)
    if n == 0:
        raise ValueError("median of nothing")
    if n % 2 == 1:
        return ordered[n // 2]
    return (ordered[n // 2 - 1] + ordered[n // 2]) / 2

SELECT city, COUNT(*) AS orders, SUM(total) AS revenue FROM sales WHERE year = 2021 GROUP BY city ORDER BY revenue DESC;

春天的早晨，小镇还在雾里。面包店的灯先亮了，接着是邮局，最后才是学校。孩子们背着书包从桥上走过，有人停下来看水里的鱼。
老师说，今天我们学习如何把一个大问题分成几个小问题：先弄清已知的条件，再想想要求的是什么，然后一步一步地推理，最后检查答案是否合理。

The rules of the house are short. Close the gate, because of the goat. Do not feed the goat. If the goat is on the roof,
tell Marta, and do not try to bring it down yourself; the last three people who tried are mentioned on the wall beside the
stairs. Breakfast is at eight. There is no dinner on Sundays, but there is soup, and nobody has ever complained of it.
)";

}  // namespace hadal
