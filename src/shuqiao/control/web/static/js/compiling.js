/* Compiling and reviewing entries: says what is saved, takes rows pasted from a spreadsheet, works by keys.
   Without this file every button does the same by a whole page. */
(function () {
  const form = document.querySelector('form[data-sq-autosave]');
  const typing = (target) => target instanceof Element && target.closest('input:not([type=checkbox]):not([type=radio]), textarea, select');

  if (form) {
    const said = document.getElementById('saved');
    const tell = (words) => { said.textContent = words; };
    let waiting = 0;
    let dirty = false;
    let leaving = null;
    form.addEventListener('input', (event) => { if (event.target.name !== 'pasted') { dirty = true; tell(form.dataset.unsaved); } });
    document.addEventListener('htmx:before:request', () => { waiting += 1; dirty = false; tell(form.dataset.saving); });
    const failed = (words) => { dirty = true; tell(words); };
    document.addEventListener('htmx:error', () => failed(form.dataset.failed));
    /* What answers a lost session or a fault is a page of its own, not the state of saving. */
    document.addEventListener('htmx:before:response', (event) => {
      const answer = event.detail.ctx.response.raw;
      if (!answer.redirected && answer.ok) return;
      event.preventDefault();
      failed(answer.redirected ? form.dataset.ended : form.dataset.refused);
    });
    document.addEventListener('htmx:finally:request', () => {
      waiting = Math.max(0, waiting - 1);
      if (!waiting && leaving !== null) { const by = leaving; leaving = null; form.requestSubmit(by); }
    });
    /* A save under way ends first, so that the step that follows brings the newest revision. */
    form.addEventListener('submit', (event) => {
      if (waiting) { event.preventDefault(); leaving = event.submitter; return; }
      dirty = false;
    });
    addEventListener('beforeunload', (event) => { if (dirty) event.preventDefault(); });
    /* Rows pasted into a cell go where rows are pasted. */
    form.addEventListener('paste', (event) => {
      const cell = event.target instanceof Element && event.target.closest('[data-sq-cell]');
      const text = event.clipboardData ? event.clipboardData.getData('text/plain') : '';
      const place = document.getElementById('pasted');
      if (!cell || !place || !/\t|\n./.test(text.trim())) return;
      event.preventDefault();
      place.value = text;
      place.closest('details').open = true;
      place.focus();
    });
  }

  /* Select all; how many are selected. */
  document.querySelectorAll('[data-sq-all]').forEach((all) => {
    const boxes = [...document.querySelectorAll('input[name="numbers"]')];
    const count = document.getElementById('chosen-count');
    const show = () => {
      const chosen = boxes.filter((box) => box.checked).length;
      all.checked = chosen > 0 && chosen === boxes.length;
      all.indeterminate = chosen > 0 && chosen < boxes.length;
      if (count) count.textContent = String(chosen);
      boxes.forEach((box) => box.closest('tr').classList.toggle('sel', box.checked));
    };
    all.hidden = false;
    all.addEventListener('change', () => { boxes.forEach((box) => { box.checked = all.checked; }); show(); });
    boxes.forEach((box) => box.addEventListener('change', show));
    show();
  });

  /* Reviewing: j and k walk the rows, y and n mark the one in focus, u shows only what differs. */
  const review = document.querySelector('[data-sq-review]');
  if (review) {
    const rows = () => [...review.querySelectorAll('[data-sq-mark]')].filter((row) => row.offsetParent !== null);
    const at = () => rows().findIndex((row) => row.classList.contains('sel'));
    const go = (place) => {
      const all = rows();
      if (!all.length) return;
      review.querySelectorAll('.sel').forEach((row) => row.classList.remove('sel'));
      const row = all[Math.min(Math.max(place, 0), all.length - 1)];
      row.classList.add('sel');
      (row.querySelector('input[type=radio]:checked') || row.querySelector('input[type=radio]') || row).focus({ preventScroll: true });
      row.scrollIntoView({ block: 'center' });
    };
    const remark = (row) => row.querySelector('[data-sq-remark]');
    const show = (row) => {
      const chosen = row.querySelector('input[type=radio]:checked');
      const returned = Boolean(chosen && chosen.value === 'no');
      if (remark(row)) remark(row).hidden = !returned;
      row.classList.toggle('no', returned);
      row.classList.toggle('yes', Boolean(chosen && chosen.value === 'yes'));
    };
    const mark = (value) => {
      const row = rows()[at()];
      const radio = row && row.querySelector(`input[type=radio][value="${value}"]`);
      if (!radio) return;
      radio.checked = true;
      radio.dispatchEvent(new Event('change', { bubbles: true }));
      if (value === 'yes') go(at() + 1);
      else if (remark(row)) remark(row).querySelector('input, textarea').focus();
    };
    review.querySelectorAll('[data-sq-mark]').forEach(show);
    review.addEventListener('change', (event) => { const row = event.target.closest('[data-sq-mark]'); if (row) show(row); });
    review.addEventListener('focusin', (event) => {
      const row = event.target.closest('[data-sq-mark]');
      if (!row) return;
      review.querySelectorAll('.sel').forEach((other) => other.classList.remove('sel'));
      row.classList.add('sel');
    });
    /* Single keys can be switched off: they disturb some ways of typing and speaking to a page. */
    const place = document.querySelector('[data-sq-keys]');
    const keys = place.querySelector('input');
    place.hidden = false;
    try { keys.checked = localStorage.getItem('sq-review-keys') !== '0'; } catch { keys.checked = true; }
    keys.addEventListener('change', () => { try { localStorage.setItem('sq-review-keys', keys.checked ? '1' : '0'); } catch { /* private window */ } });
    document.addEventListener('keydown', (event) => {
      if (!keys.checked) return;
      if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
      if (event.key === 'Escape' && typing(event.target) && review.contains(event.target)) { go(at()); return; }
      if (typing(event.target)) return;
      const act = { j: () => go(at() + 1), k: () => go(at() - 1), y: () => mark('yes'), n: () => mark('no') }[event.key];
      if (act) { event.preventDefault(); act(); }
    });
  }
})();
