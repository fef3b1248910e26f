/** What is told of each experiment beside its numbers, by the name of its files, in the order of the page. */
export const texts = {
  'quickstart-seeds': {
    title: "The quickstart's task, with three seeds",
    figure: 'Win rate against KL of PPO on five rewards, the quickstart in three seeds, beside the exact frontier',
    before: `English from the State of the Union addresses, preferences by VADER's sentiment, and a policy of 0.7 million weights that learns in an adapter of rank 32 beside its
output projection ([decision 18](../decisions/0018-adapters-beside-the-output-projection.md)), from 11,520 rollouts, each compared with the others of its prompt, without a critic.
\`ppo/exp:5\` and \`ppo/exp:-5\` are InfAlign-CTRL for best-of-N and worst-of-N, \`ppo/log\` is also vBoN.`,
    after: `**Aligned for best-of-4 is ahead in best-of-4**: \`exp:5\` of the calibrated reward as it is by 2.3 points (1.3 to 3.2), 2.5 (1.7 to 3.3) and 1.3 (0.8 to 1.8) at KLs of 0.5, 1 and 2, by
the judge by 2.8 (1.9 to 3.7), 3.0 (1.8 to 4.2) and 1.6 (1.2 to 2.1); of \`log\` by 4.7, 4.1 and 1.7. Its efficiency in best-of-4 is 0.86 (0.83 to 0.88), 0.89 (0.88 to 0.91) and 0.94 (0.93 to 0.95). It is level
with the raw reward, by 0.0 (−1.6 to 1.6), 0.8 (−0.1 to 1.8) and 0.3 (−0.3 to 0.8), by the judge by 0.1, 1.3 (0.6 to 1.9) and 0.4: rewards of this reward model, after one pass over its pairs, rise most for the
best responses of a prompt, as \`exp:5\` does (the skewness of a prompt's raw rewards is 1.13 on average; after three passes, in \`adapters-methods\`, 0.33). What that is worth depends on the reward model, and it is paid for in worst-of-4.

**Aligned for worst-of-4 is ahead of the raw reward in worst-of-4**: \`exp:-5\` by 3.3 points (0.9 to 5.7), 3.3 (1.5 to 5.1) and 2.9 (1.6 to 4.2), and the calibrated reward as it is by 2.0 (0.0 to 3.9), 2.7 (1.4 to 3.9) and 1.8
(0.4 to 3.1). Of the calibrated reward as it is, \`exp:-5\` is ahead by 1.4 (−0.7 to 3.4), 0.7 (−1.1 to 2.4) and 1.2 (−0.1 to 2.4), of \`log\` by 0.6, −0.5 and 1.3, all within their intervals; **the judge does
not see it**: by it no two of these can be told apart at 0.5, \`exp:-5\` is level with the raw reward at 1 and behind it by 1.5 (0.0 to 2.9) at 2, and behind \`log\` by 1.9 (0.6 to 3.3) at 1.

For one sample, raw and calibrated rewards are level, by 0.0 (−1.2 to 1.3), 0.2 (−0.8 to 1.3) and 0.1 (−0.5 to 0.7), both at efficiencies of 0.73, 0.72 and 0.76 to within 0.01.

**What there was to gain** is known without training (*its optimum*; of the raw reward it is estimated). In best-of-4 the optimum of \`exp:5\` is 5.7, 4.2 and 1.2 points ahead of that of the identity, and 2.8, 3.3 and 2.4
ahead of that of the raw reward: between optima there are no three points over the better of the two at 0.5 and 2. The frontier itself leaves 4.4, 5.5 and 3.2 over the better of the two. In worst-of-4 the optimum of \`exp:-5\` is
15.5, 8.5 and 0.2 points ahead of the raw reward's, 5.8, 1.7 and 0.0 of the identity's, and 1.7, 0.5 and 0.0 of that of \`log\`. For one sample calibration can be worth 1.6, 1.3 and 0.3 points over the raw reward. At 0.5
and 1 training reached less of each of these leads; at 2, in worst-of-4, it reached more (2.9 and 1.2 points), as no policy has come near its optimum there.`,
  },
  methods: {
    title: 'Methods at the same KL',
    figure: 'Win rate against KL, every method with a band over its seeds, beside the exact frontier',
    before: `The same task, with three passes of reward model and judge over their pairs, and a policy that learns in all of its weights.
Every method has the same base policy, the same rewards and the same number of rollouts; \`ppo/exp:10\` and \`ppo/exp:-5\` are InfAlign-CTRL for best-of-N and
worst-of-N, \`ppo/fp:bon:4\` has the transformation whose exact optimum is best in best-of-4, \`ppo/log\` is also vBoN. PPO has a critic of its own; RLOO and GRPO
compare a prompt's rollouts with each other, and take half the time; DPO, IPO and BoNBoN learn from rollouts of the base policy alone.`,
    after: `**Against what others align with**, in best-of-4: InfAlign-CTRL (\`exp:10\`) is ahead of DPO by 9.5 points (8.5 to 10.5) at a KL of 0.5, 10.0 (6.7 to
13.2) at 1 and 7.9 (7.0 to 8.7) at 2; of IPO by 12.0, 9.2 and 6.9; of BoNBoN by 12.3, 10.3 and 6.8; of RLOO by 5.0, 3.3 and 1.2; of GRPO by 2.5,
1.7 and 0.7, the last within its interval. So it is ahead of other solvers, as in the paper; it is not ahead of PPO by other rewards. Against those that learn from the base policy's
rollouts, most of that is how all weights learn: [in adapters](#with-and-without-rollouts-of-the-policy) it is ahead of DPO by about one point.

**Not as in the paper** where all weights are learned ([in adapters](#the-same-learned-in-adapters) it is): aligning for best-of-4 with \`exp:10\` is level with the identity in best-of-4, not ahead. In best-of-8 it is ahead by
0.8 points (0.0 to 1.6) at a KL of 0.5, 0.5 (−0.3 to 1.2) at 1 and −0.6 (−1.2 to 0.1) at 2, behind in best-of-2 and for one sample, as it should be. Its
exact optimum is 7 points ahead in best-of-4 at a KL of 0.5, but training takes no method as far as its optimum, and this one least far: its rewards
are nearly all alike but for the best few rollouts of a prompt. [Without training](ablations.md#transformations-without-training), by a regression on
reference rollouts alone, transformations are ahead in what they are for. For worst-of-4 \`exp:-5\`, \`log\` and the identity cannot be told apart at 0.5 and 1; at 2,
\`exp:-5\` is behind \`log\` by 2.4 points (0.9 to 3.8).

Calibration changes nothing against the raw reward here: within a prompt, the raw rewards of this reward model have nearly the same spread on every
prompt. Where a reward can be hacked it changes much: see below.

What the exact limits allow shrinks where the KL is large. For calibrated rewards without ties, best-of-4: the best transformation is ahead of
the identity by 7.4, 6.4 and 3.2 points at a KL of 0.5, 1 and 2. Worst-of-4: by 6.2, 1.8 and 0.0 points, and ahead of \`log\` by 2.1, 0.7 and 0.0
(\`infalign theory\`). Over vBoN at its optimum, a lead of 3 points in worst-of-4 is out of reach for any policy.

How efficiency was raised, from about 0.4 for one sample, and what did not raise it, is in
[decision 13](../decisions/0013-what-a-reward-model-reads.md), [decision 14](../decisions/0014-a-critic-of-its-own.md) and
[decision 18](../decisions/0018-adapters-beside-the-output-projection.md); where the rest goes, in [ablations.md](ablations.md#where-the-efficiency-goes).`,
  },
  adapters: {
    title: 'The same, learned in adapters',
    before: `The task of the methods above, with the same models, prompts, references and number of rollouts, and policies that learn in an adapter of rank 32 beside the
output projection in place of all their weights ([decision 18](../decisions/0018-adapters-beside-the-output-projection.md)). They have fewer ways to change by chance.`,
    across: ['ppo/identity', 'ppo/exp:5', 'ppo/fp:bon:2', 'ppo/fp:bon:4', 'ppo/fp:bon:8', 'ppo/fp:bon:32'],
    after: `**Here transformations are ahead in what they are for, as in the paper, where the KL is not large.** At KLs of 0.5, 1 and 2, in best-of-4, InfAlign-CTRL (\`exp:5\`)
is ahead of the calibrated reward as it is by 1.0 (0.2 to 1.9), 1.5 (0.8 to 2.3) and 0.3 points (−0.1 to 0.6), by the judge by 0.9 (0.1 to 1.7), 1.9 (0.9 to 2.8) and 1.2 (0.8 to 1.6); of
the raw reward by 0.9 (0.2 to 1.6), 0.3 (−0.3 to 1.0) and −0.3 (−0.5 to 0.0); of \`log\` (vBoN) by 3.2, 2.8 and 1.5 (1.1 to 1.8). In worst-of-4, \`exp:-5\` is ahead of the
calibrated reward by 3.1 (1.7 to 4.6), 0.9 (−0.4 to 2.3) and −0.7 (−2.1 to 0.6), of the raw one by 3.7 (2.2 to 5.2), 2.4 (1.2 to 3.6) and 1.0 (−0.5 to 2.5), of \`log\`, which the exact
limits leave 2.1, 0.7 and 0.0 behind, by 1.2 (−1.0 to 3.3), −0.6 (−2.6 to 1.3) and −1.6 (−2.7 to −0.6); the judge has all these closer together. With all weights learned, above,
little of this shows. The calibrated reward is level with the raw one for one sample, by 0.2 (−0.8 to 1.2), 0.1 and 0.5 (−0.1 to 1.2).

**What is exactly best is not what is best to train on.** \`fp:bon:N\` is the transformation whose optimum is best in best-of-N: for N of 8 and 32 at a KL of 0.5 it is 12.6 and 18.7
points ahead of the identity's. Trained on, it is behind \`exp:5\` in best-of-8 and, as far as can be told there, in best-of-32: the larger N, the more are its rewards alike but for those of a few
rollouts, and the less there is to learn from 16 of a prompt. \`exp:5\` and what is best for 2 and 4 serve all N at KLs of 0.5 and 1; at 2, and for one sample, the identity does.

Efficiency is 0.76 (0.73 to 0.79), 0.76 (0.74 to 0.78) and 0.78 (0.77 to 0.80) for one sample, by the calibrated reward, and 0.86, 0.88 and 0.88 in best-of-4, by \`exp:5\`, where with all weights it is 0.71 to 0.75,
and 0.80 to 0.86. Other methods than PPO: below.`,
  },
  'adapters-methods': {
    title: 'With and without rollouts of the policy',
    before: `The same task in adapters, by methods that learn from what the policy says as it is (PPO, with a critic, and RLOO) and by methods that learn from rollouts of the
base policy alone: \`rebel/REWARD\`, which holds the difference of two rollouts' log-ratios to that of their rewards
([decision 23](../decisions/0023-regression-of-rewards.md)), DPO and IPO. 15,360 rollouts each.`,
    after: `**The transformation pays whatever the algorithm, also without rollouts of the policy.** In best-of-4 at KLs of 0.5 and 1, \`rebel/exp:5\` is ahead of \`rebel/identity\` by 1.6 (0.1 to
3.1) and 1.9 points (1.3 to 2.6), by the judge by 2.1 (0.9 to 3.3) and 2.9 (1.4 to 4.4); of DPO by 1.0 (−0.1 to 2.1) and 1.4 (0.4 to 2.4), by the judge by 1.4 (0.3 to 2.5) and 2.3 (0.7 to
3.8); of IPO by 1.9 (1.0 to 2.7) and 2.1 (1.4 to 2.8); of RLOO by 1.4 (0.6 to 2.2) and 2.1 (1.2 to 2.9). It is level with \`ppo/exp:5\`, to within 1.7 points at 0.5 and 0.7 at 1, with no critic, and no sampling
while it learns.

**In adapters, methods on the same reward differ by little.** For one sample the five without a transformation are within 1.1 points of each other, at efficiencies of 0.72 to 0.76; in best-of-4 PPO
is ahead of RLOO and IPO by 0.9 to 1.5. DPO and IPO, which had 0.48 and 0.42 with all weights learned ([above](#methods-at-the-same-kl)), have 0.72 here: **what put them ten points behind InfAlign-CTRL there was mostly
how all weights learn from them at that learning rate**, not what they know. What InfAlign-CTRL is ahead of DPO by is 1.1 points (−0.6 to 2.8) and 1.2 (0.3 to 2.2) in best-of-4 here.

In worst-of-4 those for best-of-N are behind, as they should be.`,
  },
  'reference-counts': {
    title: 'How many references a prompt is worth',
    before: `The same task, learned in adapters by \`ppo/exp:5\`, calibrated with the first K of 300 responses of the base policy to each prompt. Win rates are measured as ever: K concerns
training alone.`,
    after: `**Eight references do what 300 do**: their policies differ by 0.3 points (−0.8 to 1.4) for one sample, and 0.2 (−0.8 to 1.2) in best-of-4; by the judge by 0.1 and −0.3. So do 16, 32 and 100, all
within their intervals. The error of a calibrated reward ([ablations.md](ablations.md)) is another one for every prompt, and averages out over 240 of them. A run learns from 15,360 rollouts here, and
calibration with the usual 100 takes 24,000 beside them: 22,080 of these can be spared. That is so where rewards of different prompts are spread alike, as here, where the raw reward does as well;
with others it has not been measured. One seed with 16 references came to a KL of 0.38, too far from 0.5 to be compared there.`,
  },
  strengths: {
    title: 'Strengths in place of KLs',
    before: `The same task, learned in adapters, with the strengths β that the paper compares, on the normalised scale, in place of KLs to reach. One seed.`,
    after: `**The same β is another KL for each method**, from 1.3 to 9.3 nats here, so that methods at the same β are not methods at the same price. The exact optima of the identity have KLs of 4.85,
3.24 and 2.65 at 0.01, 0.05 and 0.09, those of \`exp:5\` 6.61, 4.98 and 4.37, those of \`exp:-5\` 2.07, 1.15 and 0.90; policies end at one and a half times as much on the whole, and win less often with it than
the optima do (one sample, identity: 99.7, 98.6 and 97.4 %). The identity and \`exp:5\` win best-of-4
no more often below a β of 0.09: there is hardly anything left to win.`,
  },
  'planted-phrase': {
    title: 'A reward that can be hacked',
    before: `The same task, with a phrase planted in what the reward model learned to prefer. The judge learned from other pairs, without it.`,
    after: `A raw reward that rises by many standard deviations for two words is worth any KL. A calibrated one can rise to 1 and no further: the policy that
is trained on it says the phrase a third to a quarter as often at the same KL, and wins more often by proxy and judge alike, also in the standard win rate.

Not every calibrated method is as safe. This phrase and its share were chosen after another, “the people” with a share of 20 %, which an earlier version of
the reward model liked by 2.9 standard deviations: there the raw reward led to 3.5 % of responses with the phrase at a KL of 0.5, the calibrated one
to 2.4 %, but \`ppo/exp:10\` to 4.4 %: it rewards most what is best of all, and that has the phrase in it.`,
  },
  'harmlessness-small': {
    title: 'Harmlessness, in a small part',
    figure: 'Win rate against KL of PPO on four rewards, harmlessness, beside the exact frontier',
    before: `Anthropic's harmlessness comparisons as people labelled them, with a policy of 0.7 million weights that learns in an adapter beside its output
projection, from 34,560 rollouts, each compared with the others of its prompt, without a critic. It was run on 2,000 comparisons of the training split, from a folder (\`dataset.path\`), with a fifth of the conversations held out; what is left teaches
the reward model 850 comparisons and the judge 500. From the hub the same file draws its prompts and comparisons from all. The samples are left out of
[\`harmlessness-small.json\`](harmlessness-small.json): the prompts are offensive.`,
    after: `So small a reward model knows little of harmlessness: 51.3 % of 150 held-out comparisons (43.3 to 60.0), the judge 56.7 % (48.7 to 64.7), neither surely better than chance. Calibration does not
depend on that, and neither does the frontier: what is measured here is how far policies come with a reward, not how harmless they are.

**Efficiency** of the standard win rate is 0.81 (0.78 to 0.83) at a KL of 0.5 and 0.83 (0.81 to 0.84) at 1, for the calibrated reward; 0.79 and 0.83 for the raw one. With 60 iterations in place of 90 it is 0.79 (0.77 to
0.82) and 0.82 (0.81 to 0.84), three seeds, everything else the same.

**Worst-of-4**: \`exp:-5\`, which is InfAlign-CTRL for worst-of-N, is ahead of the raw reward by 2.2 points (0.8 to 3.6) at 0.5 and by 1.9 (0.7 to 3.0) at 1, the calibrated reward as it is by 1.9 (0.4 to 3.3) and 0.4 (−0.9 to 1.6).
Of that, \`exp:-5\` is ahead by 0.3 (−0.9 to 1.6) at 0.5 and by 1.5 (0.1 to 2.9) at 1, where the optima leave 1.7. \`log\`, which is vBoN, cannot be told from \`exp:-5\`; the optima leave 1.7 at 0.5 and 0.5 at 1.
The judge, by its own reward, puts \`exp:-5\` behind the calibrated reward as it is, by 3.9 and 4.9 points: the lowest of four by a proxy that agrees with it so little is not what it would call the lowest.

For one sample and in best-of-4 the raw and the calibrated reward cannot be told apart, whose optima are 0.7 and 0.5 points apart for one sample, and 1.0 and 0.4 in best-of-4. The time above is that of the steps, two at
a time.`,
  },
};
