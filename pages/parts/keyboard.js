// Keys beyond Streamlit's: N and P lead to the next and previous scene from wherever no text is typed, and an opened
// popover takes the focus (Streamlit hangs it on the end of the page, where Tab comes last).
{
  const TYPING = 'textarea, [contenteditable=true], input:not([type=range], [type=checkbox], [type=radio])';
  const lead = event => {
    const way = {n: 'next', p: 'previous'}[event.key];
    const modified = event.ctrlKey || event.metaKey || event.altKey || event.shiftKey;
    if (!way || modified || event.target.matches?.(TYPING)) return;
    document.querySelector(`.st-key-${way}-scene :is(button, a)`)?.click();
  };
  const focus = event => {
    if (!event.target.closest?.('[data-testid=stPopoverButton]')) return;
    setTimeout(() => {
      const body = [...document.querySelectorAll('[data-testid=stPopoverBody]')].at(-1);
      if (body && !body.contains(document.activeElement)) { body.tabIndex = -1; body.focus({preventScroll: true}); }
    }, 50);
  };
  if (!window.vgdashKeys) {
    window.vgdashKeys = true;
    window.addEventListener('keydown', lead);
    window.addEventListener('click', focus);
  }
}
