import { InputError } from '@infalign/core';
import type { Topic } from '@infalign/rollout-stream';

/** The topic of that name. @throws InputError naming those that there are */
export async function topicNamed(name: string): Promise<Topic> {
  const { allTopics } = await import('@infalign/rollout-stream');
  const topic = allTopics().find((each) => each.name === name);
  if (topic) return topic;
  throw new InputError(
    `there is no topic ${name}. There are: ${allTopics()
      .map((each) => each.name)
      .join(', ')}.`,
  );
}
