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
};
