// ---- a report: everything is there from the beginning -------------------------------------------
if (!tooOld()) {
  [...data.panels, data.loop].forEach(unpackTraces);
  await prepare();
  page.row = rows().length - 1;
  only(page.focus);
  document.body.dataset.ready = "true";
}
