// A face in words. Where the model abstains ("unsure"), no class is named, and no share of it.

export function labelOf({ expression, probability, probabilities }) {
  return expression in probabilities ? `${expression} ${Math.round(100 * probability)} %` : expression;
}
