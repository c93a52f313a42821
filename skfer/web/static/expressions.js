// Labels and colours of expressions. `EXPRESSION_COLORS` of skfer.datasets has the same colours.

const COLORS = {
  happy: "#e9a710", sad: "#1e7ddb", disgust: "#547a51", fear: "#ba759b",
  surprise: "#6fbdd6", angry: "#d62700", contempt: "#7f4d8e", neutral: "#6f6f6f",
};
const ABSTENTION_COLOR = "#e0e0e0";
const OTHER_COLORS = Object.values(COLORS);

export function colorOf(name, classes) {
  if (Object.hasOwn(COLORS, name)) return COLORS[name];
  const index = classes.indexOf(name);
  return index < 0 ? ABSTENTION_COLOR : OTHER_COLORS[index % OTHER_COLORS.length];
}

export function themeColor(variable) {
  return getComputedStyle(document.documentElement).getPropertyValue(variable).trim();
}

// Return pairs of an expression and the number of faces with it, the most frequent first.
export function countExpressions(faces) {
  const counts = new Map();
  for (const { expression } of faces) counts.set(expression, (counts.get(expression) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}

// Return the label of a face. A model that abstains ("unsure") names no class, so without probability.
export function labelOf({ expression, probability, probabilities }) {
  return expression in probabilities ? `${expression} ${Math.round(100 * probability)} %` : expression;
}
