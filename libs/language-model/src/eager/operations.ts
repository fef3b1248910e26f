import * as tf from '@tensorflow/tfjs-core';

/*
 * The transformer's operations with gradients worked out by hand. tfjs would derive the same ones operation by
 * operation, with several times as many passes over memory and as much bookkeeping.
 */

/**
 * Root-mean-square normalisation (Zhang & Sennrich, arXiv 1910.07467): `y = x · r · g`, `r = (mean(x²) + ε)^−½`.
 *
 * @param x shape [n, d]
 * @param gain g, shape [d]
 */
export function rmsNorm(x: tf.Tensor2D, gain: tf.Tensor1D, epsilon: number): tf.Tensor2D {
  const operation = tf.customGrad((x_, gain_, save_) => {
    const [x, gain, save] = [x_ as tf.Tensor2D, gain_ as tf.Tensor1D, save_ as tf.GradSaveFunc];
    const scale = tf.rsqrt(tf.add(tf.mean(tf.square(x), 1, true), epsilon));
    const normalised = tf.mul(x, scale);
    save([normalised, scale, gain]);
    return {
      value: tf.mul(normalised, gain),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [normalised, scale, gain] = saved as [tf.Tensor, tf.Tensor, tf.Tensor];
        const weighted = tf.mul(dy, gain);
        const projection = tf.mean(tf.mul(weighted, normalised), 1, true);
        const dx = tf.mul(tf.sub(weighted, tf.mul(normalised, projection)), scale);
        return [dx, tf.sum(tf.mul(dy, normalised), 0)];
      },
    };
  });
  return operation(x, gain) as tf.Tensor2D;
}

/**
 * SwiGLU (Shazeer, arXiv 2002.05202): `silu(gate) · up`, `silu(z) = z·σ(z)`.
 *
 * @param gate shape [n, f]
 * @param up shape [n, f]
 */
export function swiglu(gate: tf.Tensor2D, up: tf.Tensor2D): tf.Tensor2D {
  const operation = tf.customGrad((gate_, up_, save_) => {
    const [gate, up, save] = [gate_ as tf.Tensor2D, up_ as tf.Tensor2D, save_ as tf.GradSaveFunc];
    const sigmoid = tf.sigmoid(gate);
    const silu = tf.mul(gate, sigmoid);
    save([sigmoid, silu, up]);
    return {
      value: tf.mul(silu, up),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [sigmoid, silu, up] = saved as [tf.Tensor, tf.Tensor, tf.Tensor];
        // d silu / d gate = σ + silu·(1 − σ)
        const slope = tf.add(sigmoid, tf.mul(silu, tf.sub(1, sigmoid)));
        return [tf.mul(tf.mul(dy, up), slope), tf.mul(dy, silu)];
      },
    };
  });
  return operation(gate, up) as tf.Tensor2D;
}

/**
 * Attention of queries over keys: `softmax(q·kᵀ + mask)·v`, over leading batch dimensions.
 *
 * @param query shape [b, h, m, e], scaled by e^−½
 * @param key shape [b, h, t, e]
 * @param value shape [b, h, t, e]
 * @param mask 0 where a query sees a key, −1e9 where not; broadcast to [b, h, m, t]
 */
export function attention(query: tf.Tensor4D, key: tf.Tensor4D, value: tf.Tensor4D, mask: tf.Tensor): tf.Tensor4D {
  const operation = tf.customGrad((query_, key_, value_, save_) => {
    const [query, key, value] = [query_ as tf.Tensor4D, key_ as tf.Tensor4D, value_ as tf.Tensor4D];
    const probabilities = tf.softmax(tf.add(tf.matMul(query, key, false, true), mask));
    (save_ as tf.GradSaveFunc)([query, key, value, probabilities]);
    return {
      value: tf.matMul(probabilities, value),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [query, key, value, probabilities] = saved as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
        const weighted = tf.mul(tf.matMul(dy, value, false, true), probabilities);
        const dScores = tf.sub(weighted, tf.mul(probabilities, tf.sum(weighted, -1, true)));
        return [
          tf.matMul(dScores, key),
          tf.matMul(dScores, query, true, false),
          tf.matMul(probabilities, dy, true, false),
        ];
      },
    };
  });
  return operation(query, key, value) as tf.Tensor4D;
}

/**
 * Rotary positions (Su et al., arXiv 2104.09864) in Hugging Face's convention: the first half of a head is rotated with
 * the second: `x·cos + rotate(x)·sin`, `rotate([a, b]) = [−b, a]`.
 *
 * @param x shape [n, heads, e]
 * @param cos shape [n, 1, e]
 * @param sin shape [n, 1, e]
 */
export function rotate(x: tf.Tensor3D, cos: tf.Tensor, sin: tf.Tensor): tf.Tensor3D {
  const halves = (y: tf.Tensor): [tf.Tensor, tf.Tensor] => tf.split(y, 2, -1) as [tf.Tensor, tf.Tensor];
  const operation = tf.customGrad((x, save) => {
    const [a, b] = halves(x as tf.Tensor);
    (save as tf.GradSaveFunc)([cos, sin]);
    return {
      value: tf.add(tf.mul(x as tf.Tensor, cos), tf.mul(tf.concat([tf.neg(b), a], -1), sin)),
      // The transpose of rotate is [a, b] → [b, −a].
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [cos, sin] = saved as [tf.Tensor, tf.Tensor];
        const [a, b] = halves(tf.mul(dy, sin));
        return tf.add(tf.mul(dy, cos), tf.concat([b, tf.neg(a)], -1));
      },
    };
  });
  return operation(x) as tf.Tensor3D;
}

/**
 * log-probabilities of target tokens: `log softmax(h·Wᵀ)[target]`. The gradient needs no array of shape [n, vocabulary]
 * beyond the probabilities: the targets' share goes through rows of W and of h.
 *
 * @param hidden h, shape [n, d], divided by the temperature
 * @param projection W, shape [vocabulary, d]
 * @param targets shape [n], int32
 * @returns shape [n], in nats
 */
export function targetLogProbs(hidden: tf.Tensor2D, projection: tf.Tensor2D, targets: tf.Tensor1D): tf.Tensor1D {
  const [n, vocabulary] = [hidden.shape[0], projection.shape[0]];
  const operation = tf.customGrad((hidden_, projection_, save_) => {
    const [hidden, projection] = [hidden_ as tf.Tensor2D, projection_ as tf.Tensor2D];
    const logProbs = tf.logSoftmax(tf.matMul(hidden, projection, false, true));
    (save_ as tf.GradSaveFunc)([hidden, projection, logProbs, targets]);
    const places = tf.stack([tf.range(0, n, 1, 'int32'), targets], 1);
    return {
      value: tf.gatherND(logProbs, places),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [hidden, projection, logProbs, targets] = saved as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D, tf.Tensor1D];
        const column = tf.reshape(dy, [n, 1]);
        const dLogits = tf.mul<tf.Tensor2D>(tf.exp(logProbs), tf.neg(column));
        const dHidden = tf.add(tf.matMul(dLogits, projection), tf.mul(column, tf.gather(projection, targets)));
        const dProjection = tf.add(
          tf.matMul(dLogits, hidden, true, false),
          tf.unsortedSegmentSum(tf.mul(column, hidden), targets, vocabulary),
        );
        return [dHidden, dProjection];
      },
    };
  });
  return operation(hidden, projection) as tf.Tensor1D;
}
