/**
 * Say something to those who do not see the page: the one polite live region, beside everything that moves.
 *
 * @param {string} sentence
 */
export function announce(sentence) {
  const element = document.querySelector(".lr-said");
  if (element !== null && element.textContent !== sentence) element.textContent = sentence;
}
