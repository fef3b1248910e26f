/** What is told of each ablation beside its numbers, in the order of the page. */
export const texts = {
  'calibration-error': {
    title: 'Calibration error against K',
    figure: 'Error of calibrated rewards against the number of references, measured and exact',
    before: `The root mean square of Ĉ − C, where Ĉ is calibration by K references, over every group of K that there is among 300. K·Ĉ is binomial for
rewards without ties, and C uniform: the mean square is ∫ u(1 − u)/K du = 1/(6K). For rewards that take values with probabilities p, a tie counting ½, it
is (1/6 − Σ p²/4 + Σ p³/12)/K, which is less. The distance from uniform is that of Kolmogorov and Smirnov, for the rollouts of all prompts together; K
references give K + 1 values of Ĉ, which cost 1/(K + 1) alone.`,
    after: `As expected, throughout: the error is 1/√(6K) whatever the reward model, and every interval holds it. So the K that an error takes can be
looked up: 17 for 0.1, 67 for 0.05, 1,667 for 0.01. The distance from uniform says less than it seems to: beyond K = 100 it shows how few prompts and
rollouts it was measured with, not the error.

Few references cost more than their share: a prompt's 8 take more than a quarter of the time of 100, since little is computed together.`,
  },
  'finite-k-bias': {
    title: 'The bias of a finite K',
    figure: 'Bias of transformed rewards against the true calibrated reward, measured and exact',
    before: `The mean of Φ(Ĉ) − Φ(C) on the normalised scale, on which Φ has mean 0 and unit variance: the scale of β. “Corrected” is \`finite_k_correction\`; \`log\` has
none. For Φ(C) stands the corrected estimate by all other rollouts, for \`log\` Φ of their C. The exact bias is what the binomial distribution gives for
the same measurement; averaged over C, every number of wins is as probable. The error is the root mean square of Φ(Ĉ) − Φ(C).`,
    after: `**Not as expected**: the correction is not free of bias at K = 8. It sums the series of e^{tC} up to its K-th power, and of \`exp:10\` what is
missing weighs as much as the bias that it takes out: −0.27 in place of 0.28, and −2 for the best tenth of responses, those that best-of-N is
about. From K = 16 on for \`exp:10\` it does what it says; so K should be well above |t|. And there the error is hardly less with the correction: it
is chance, not bias, which only more references make less.

The measured bias of \`exp:-5\` is above the exact one by about 0.02 in every row from K = 16 on. That is one deviation seen many times, not many: all rows have
the rollouts and the 1,000 others of the same prompts in common. It is two standard errors of its own.`,
  },
  'calibrated-reward-model': {
    title: 'A calibrated reward model',
    before: `A model that predicts C from prompt and response, so that a new prompt needs no references: it begins as the reward model and learns, by binary
cross-entropy at the last token, the Ĉ of the training prompts' references, each with itself left out. Beside it, what there is without rollouts and without
training: the share of *all* training prompts' references that a response beats, as the calibrator's \`new_prompts: pool\` has it.`,
    after: `The model is as good as some 24 references of the prompt itself (18 to 34), at the price of one pass; 100 references have half its error. Its training
takes as long as sampling and scoring 32 references for each of more than 2,000 prompts. It pays where prompts are many and K would be small, not where 100 references a
prompt are sampled once.

**Not as expected**: calibration by the references of other prompts, which costs nothing, is as good as 15 of the prompt's own. The rewards of this reward
model are spread nearly alike on every prompt (as [methods](README.md) shows too); where they are not, it is worth less. And both are nearly uniform over all prompts
together, nearer than 32 references are: **the distance from uniform does not tell a good calibration from a bad one** where errors of different prompts
cancel. Only the error against C does.`,
  },
  drift: {
    title: 'Recalibration when something changes',
    figure: 'Error of calibrated rewards against the references that have arrived since a change',
    before: `Online: the calibrator with a window ([recalibration.md](../recalibration.md)), to which references of the new model, policy or prompts come in rounds of 25
a prompt. Offline: the references of before, for ever; that is the calibrator before the first of these rounds. Rollouts are the new reference policy's,
and C is taken from 500 others of it, by the new reward model. A prompt with fewer than 25 references is new.`,
    after: `Online, the error is that of 100 references, 1/√600 = 0.041, as soon as so many have arrived, whatever has changed; until then it falls in proportion to what is
left of the old ones. Offline it stays nearly 4 times as large with another reward model, 5 times with an aligned policy.

A reward model should be announced, as a version of its own: old references are dropped, and 50 new ones alone have an error of 0.071 where 50 new with 50
old ones have 0.090. The price is that nothing is calibrated until the first have arrived.

**Not as expected**:

- The drift test finds less than half of the prompts on which the judge has replaced the reward model, and none on which the temperature is 0.7: at a false
  alarm rate of 0.001, the test of one prompt needs a large change. So alarms are to be counted over all prompts; and they come with the first full window, when
  calibration has already followed.
- A temperature of 0.7 changes rewards so little that calibration by the references of before costs 0.055 in place of 0.041.
- With an aligned policy the distance from uniform stays at 0.056, though the error is that of 100 references. That is chance: the references that were drawn for it
  are 2.6 standard errors lower in reward than those of five other draws of the same policy.
- For new prompts, 25 references of their own are no better than the pool of all others (0.097): \`minimum_references\` should be about 50 where \`new_prompts\` is
  \`pool\`.`,
  },
  efficiency: {
    title: 'Where the efficiency goes',
    before: `A policy on the exact frontier has an efficiency of 1: (win rate − ½) over that of the frontier at its KL. It knows at every token what C is to be
expected after it, and its log-ratio to the base policy, log π/π_base of a whole response, rises with C and with nothing else. Where the KL is small, the
efficiency of the standard win rate is the correlation of the log-ratio with C over the base policy's rollouts: the win rate gains their covariance, and the KL
is half the variance of the log-ratio. What is left of the log-ratio when its mean given C (in 20 bins) is taken out, its rest, costs KL and wins nothing.

A critic learned what to expect of the policy that it trained, not of the base policy; its share is the squared correlation, which a shift or a scale leaves
as it is.`,
    after: `**Little can be known early.** Half of what C will be is decided in the second half of a response, and whoever wants to move the first tokens to
where they pay has a tenth to a third of it to go by. The critics know some 60 % of what can be known, early and late alike: PPO's advantages are far from exact.

**Most of the reward is a sum over tokens**, which takes no planning and no value: three quarters of its variance. A policy that only likes some tokens more,
whatever stands before them, is made of that without any training.

**A third of the KL that a policy pays is noise of its seed.** One seed's log-ratio has a correlation of 0.66 with C, so 57 % of its variance is rest. 42 % of the
rest is the same for all seeds, 58 % each seed's own, which is a third of the log-ratio's variance: it goes away when seeds are averaged. Endless seeds would
come to 0.79. What is missing from there to 1 is no noise of training: all seeds lack it.

**Policies have learned what single tokens are worth, and next to nothing else.** 61 % of the variance of one seed's log-ratio is a sum over tokens, and this
part goes with C nearly as well as any sum can: a correlation of 0.79, where 0.85 is the most. The other 39 % hardly goes with C at all (0.07): it is KL for nothing,
and much of it noise, as it is 26 % in the mean of the seeds. What C has beside the sum, 29 % of its variance, is in no policy.

**So everything that was tried ends near the efficiency of the logit bias, which PPO has no part in and which is such a sum.** At the KL of a seed it wins more often
than the seeds do: by 2.1 points (0.2 to 3.9) for one sample and by 3.1 (1.1 to 5.4) in best-of-4; in worst-of-4 they cannot be told apart. The mean of the seeds'
weights wins as often as one seed, as far as can be told, for 0.07 nats less: an efficiency of 0.74 (0.68 to 0.80) in place of 0.69 for one sample. The bias has
0.76 (0.71 to 0.82), and endless seeds, by their correlation, about 0.79; so has one seed with ten times the rollouts
([decision 14](../decisions/0014-a-critic-of-its-own.md)). An efficiency of 0.9 takes a correlation of about 0.9, which no sum over tokens has.`,
  },
  'logit-bias': {
    title: 'Transformations without training',
    before: `What a transformation is worth beside the identity, when nothing that a policy fails to learn stands between: weights of tokens, fitted to transformed
calibrated rewards of the reference rollouts, are added to the base policy's logits, times as much as gives the KL. That is the part of an aligned policy that is a
sum over tokens, without noise of training.`,
    after: `**Where nothing is trained, transformations do what they are for.** In best-of-4, \`exp:5\` is ahead of the identity by 1.9 points (0.4 to 3.4) at a KL of 0.5 and
by 1.5 (0.4 to 2.6) at 1, and of \`log\`, which is also vBoN, by 4.4 and 3.6. In worst-of-4, \`exp:-5\` is ahead of the identity by 1.6 (−0.5 to 3.6) and 4.7 (2.8 to 6.7),
and \`log\` by 1.5 (−0.8 to 3.8) and 3.0 (1.0 to 5.1). For one sample, none is ahead. So the order is that of the paper. The trained policies of
[methods](README.md) do not show it, those in adapters do: of the former, 39 % of what they change is no sum over tokens and hardly goes with C, as the section before tells.

The leads are a quarter of those of exact optima (7.4 and 6.4 points in best-of-4): with a sum over tokens a policy cannot want more, or less, of the best when it is
half way there.

\`exp:10\` is no better than \`exp:5\` in best-of-4. Its multiple was searched six times and has a KL of 0.479 and 0.958, so it is measured a little too low.

**Reference rollouts and a regression of seconds are as good as PPO here**: the identity's bias has an efficiency of 0.76 for one sample and \`exp:5\` has one of 0.85 in
best-of-4, where trained policies have [0.71 and 0.80](README.md).`,
  },
};
