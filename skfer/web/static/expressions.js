// Labels and colours of expressions. Colours are in the style sheet, for light and dark.

const OTHERS = ["--contempt", "--happy", "--sad", "--fear", "--disgust", "--angry", "--surprise", "--neutral"];
// Over pictures the background is always dark.
const OVER_PICTURE = {
  "--happy": "#ffc94d", "--sad": "#7fb2ff", "--angry": "#ff7b6e", "--surprise": "#ff93c4",
  "--fear": "#b79cff", "--disgust": "#8fce6a", "--neutral": "#c3ccd6", "--contempt": "#5fd6d2",
  "--unsure": "#e0e0e0",
};

function variableOf(name, classes) {
  const variable = `--${name}`;
  if (variable in OVER_PICTURE) return variable;
  const index = classes.indexOf(name);
  return index < 0 ? "--unsure" : OTHERS[index % OTHERS.length]; // not a class: the model abstained
}

export function colorOf(name, classes) {
  return themeColor(variableOf(name, classes));
}

export function colorOverPicture(name, classes) {
  return OVER_PICTURE[variableOf(name, classes)];
}

export function themeColor(variable) {
  return getComputedStyle(document.documentElement).getPropertyValue(variable).trim();
}

// Return the label of a face. A model that abstains ("unsure") names no class, so without probability.
export function labelOf({ expression, probability, probabilities }) {
  return expression in probabilities ? `${expression} ${Math.round(100 * probability)} %` : expression;
}
