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

  // What a page shows may change while it is open: asked for now and then, while somebody looks.
  function say(place, told) {
    var line = document.createElement("p");
    line.textContent = told.text;
    if (told.link) {
      var link = document.createElement("a");
      link.href = told.link === location.pathname ? location.pathname + location.search : told.link;
      link.textContent = told.label;
      line.append(" ", link);
    }
    place.replaceChildren(line);
  }
  function close(forms) {
    document.querySelectorAll(forms + " button").forEach(function (button) { button.disabled = true; });
    document.querySelectorAll(forms + " a.button, " + forms + " .more-ways a").forEach(function (link) {
      link.removeAttribute("href");
      link.setAttribute("aria-disabled", "true");
    });
  }
  document.querySelectorAll("[data-live]").forEach(function (place) {
    var said = place.textContent.trim();
    var timer;
    function again() {
      clearTimeout(timer);
      timer = setTimeout(ask, Number(place.dataset.every));
    }
    function ask() {
      if (document.hidden) return;
      fetch(place.dataset.live, { redirect: "error", cache: "no-store" }).then(function (answer) {
        // Signed out, or gone: the next page says so.
        if (!answer.ok) throw new Error(String(answer.status));
        return answer.json();
      }).then(function (told) {
        if (told.text && told.text !== said) {
          said = told.text;
          say(place, told);
        }
        if (told.left) close("[data-until-left]");
        if (told.stale) close(".decide");
        if (!told.over) again();
      }, function () {});
    }
    document.addEventListener("visibilitychange", function () {
      if (!document.hidden) again();
    });
    again();
  });

  // Where some of several boxes have to be ticked, the first says so until one is.
  document.querySelectorAll("[data-some]").forEach(function (form) {
    var some = form.querySelectorAll('input[name="' + form.dataset.some + '"]');
    function check() {
      var any = Array.prototype.some.call(some, function (box) { return box.checked; });
      if (some[0]) some[0].setCustomValidity(any ? "" : form.dataset.someSays);
    }
    form.addEventListener("change", check);
    check();
  });

  // Passkeys: the browser makes and uses them by script alone.
  function bytes(text) {
    var plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    return Uint8Array.from(plain, function (c) { return c.charCodeAt(0); });
  }
  function text(buffer) {
    var plain = String.fromCharCode.apply(null, new Uint8Array(buffer));
    return btoa(plain).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  }
  function ask(form) {
    var headers = { "X-CSRF-Token": form.elements.csrf.value };
    return fetch(form.action + "/question", { method: "POST", headers: headers }).then(function (answer) {
      if (!answer.ok) throw new Error(String(answer.status));
      return answer.json();
    });
  }
  function make(form, asked) {
    var kinds = asked.algorithms.map(function (alg) { return { type: "public-key", alg: alg }; });
    var user = { id: bytes(asked.user.id), name: asked.user.name, displayName: asked.user.displayName };
    return navigator.credentials.create({ publicKey: {
      challenge: bytes(asked.challenge), rp: asked.rp, user: user, pubKeyCredParams: kinds, attestation: "none",
      authenticatorSelection: { residentKey: "required", userVerification: "required" }
    } }).then(function (made) {
      form.elements.client.value = text(made.response.clientDataJSON);
      form.elements.data.value = text(made.response.getAuthenticatorData());
      form.elements.key.value = text(made.response.getPublicKey());
      form.elements.algorithm.value = String(made.response.getPublicKeyAlgorithm());
    });
  }
  function use(form, asked) {
    return navigator.credentials.get({ publicKey: {
      challenge: bytes(asked.challenge), rpId: asked.rpId, userVerification: "required"
    } }).then(function (used) {
      form.elements.id.value = text(used.rawId);
      form.elements.client.value = text(used.response.clientDataJSON);
      form.elements.data.value = text(used.response.authenticatorData);
      form.elements.signature.value = text(used.response.signature);
    });
  }
  document.querySelectorAll("[data-passkey]").forEach(function (form) {
    if (!window.PublicKeyCredential || !navigator.credentials) return;
    form.hidden = false;
    var way = form.closest("[data-passkey-way]");
    if (way) way.hidden = false;
    var failed = form.querySelector("[data-passkey-failed]");
    form.addEventListener("submit", function (event) {
      event.preventDefault();
      event.stopPropagation();
      failed.hidden = true;
      ask(form).then(function (asked) {
        return form.dataset.passkey === "make" ? make(form, asked) : use(form, asked);
      }).then(function () { form.submit(); }, function () { failed.hidden = false; });
    });
  });

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
