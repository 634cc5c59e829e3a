// Comfort only: everything on the pages works without this.
(function () {
  "use strict";

  // One press is enough: a second one on the same form is ignored.
  document.addEventListener("submit", function (event) {
    var form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "1";
  });
  // Coming back with the browser's button, forms can be sent again.
  window.addEventListener("pageshow", function () {
    document.querySelectorAll("form[data-sent]").forEach(function (form) {
      delete form.dataset.sent;
    });
  });

  // The box in the head of a list checks all the boxes shown; the bar says how many are chosen.
  var all = document.querySelector("[data-all]");
  var bar = document.querySelector("[data-chosen]");
  function boxes() {
    return Array.prototype.slice.call(document.querySelectorAll("[data-one]"));
  }
  function count() {
    var every = boxes();
    var chosen = every.filter(function (box) { return box.checked; }).length;
    if (bar) bar.textContent = chosen ? bar.dataset.chosen.replace("0", String(chosen)) : "";
    if (all) {
      all.checked = chosen > 0 && chosen === every.length;
      all.indeterminate = chosen > 0 && chosen < every.length;
    }
  }
  if (all) {
    all.closest("[hidden]") && all.closest("[hidden]").removeAttribute("hidden");
    all.addEventListener("change", function () {
      boxes().forEach(function (box) { box.checked = all.checked; });
      count();
    });
    document.addEventListener("change", count);
    count();
  }

  // On paper everything is open.
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details:not([open])").forEach(function (one) {
      one.open = true;
      one.dataset.printed = "1";
    });
  });
  window.addEventListener("afterprint", function () {
    document.querySelectorAll("details[data-printed]").forEach(function (one) {
      one.open = false;
      delete one.dataset.printed;
    });
  });
})();
