// The list of conversations refreshes itself, as long as nobody is using it with the keyboard.
"use strict";

(() => {
    const EVERY = 8000;

    async function refresh() {
        const list = document.getElementById("result_list");
        if (document.hidden || (list && list.contains(document.activeElement))) return;
        const answer = await fetch(location.href, { cache: "no-store" });
        if (!answer.ok || answer.redirected) return;
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("result_list");
        if (fresh && list && fresh.innerHTML !== list.innerHTML) list.replaceWith(document.importNode(fresh, true));
        else if (fresh && !list) location.reload();
    }

    setInterval(() => refresh().catch(() => {}), EVERY);
})();
