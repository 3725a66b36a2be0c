// The theme's menus are spans that only a mouse reaches. This gives them a place in the tab order, a role and the
// keys people expect, makes the dialog a dialog, and adds a skip link and a main landmark.
"use strict";

// The delete page calls for translations that it does not load; the page is in English.
window.gettext = window.gettext || ((text) => text);

(() => {
    const NAMES = {
        dock_to_right: "Show or hide the menu",
        close: "Close",
        more_horiz: "More actions",
        more_vert: "More actions for this choice",
        unfold_more: "Account menu",
        visibility: "Show the password",
        light_mode: "Light theme",
        dark_mode: "Dark theme",
        computer: "Theme of this computer",
        desktop_windows: "Theme of this computer",
    };
    const CLICKABLE = "[x-on\\:click]:not(button):not(a[href]):not(input):not(select):not(textarea), a:not([href])";
    const FOCUSABLE = "a[href], button, input:not([type=hidden]), select, textarea, [tabindex='0']";

    function nameOf(element) {
        const icon = element.matches(".material-symbols-outlined") ? element : element.querySelector(".material-symbols-outlined");
        const words = [...element.childNodes]
            .filter((node) => node !== icon && !(node.matches && node.matches(".material-symbols-outlined")))
            .map((node) => node.textContent.trim())
            .join(" ")
            .trim();
        return element === icon || !words ? NAMES[icon ? icon.textContent.trim() : ""] : "";
    }

    function makeButton(element) {
        if (element.dataset.staffKeys || element.id === "changelist-filter-close") return;
        element.dataset.staffKeys = "yes";
        if (!/\S/.test(element.textContent)) return;
        element.setAttribute("role", "button");
        element.tabIndex = 0;
        const name = nameOf(element);
        if (name) element.setAttribute("aria-label", name);
        element.addEventListener("keydown", (event) => {
            if (event.target !== element || (event.key !== "Enter" && event.key !== " ")) return;
            event.preventDefault();
            element.click();
        });
    }

    function landmarks() {
        const main = document.getElementById("main");
        if (!main) return;
        const content = document.getElementById("content") || main;
        main.setAttribute("role", "main");
        content.tabIndex = -1;
        const skip = document.createElement("a");
        skip.href = "#content";
        skip.className = "staff-skip";
        skip.textContent = "Skip to the content";
        document.body.prepend(skip);
    }

    function watchDialog() {
        const box = document.getElementById("modal-content");
        if (!box) return;
        let opener = null;
        document.addEventListener("htmx:beforeRequest", (event) => {
            if (!box.contains(event.target)) opener = event.target;
        });
        const enter = () => {
            const title = box.querySelector("h1");
            box.setAttribute("role", "dialog");
            box.setAttribute("aria-modal", "true");
            if (title) box.setAttribute("aria-label", title.textContent.trim());
            // The theme says "Cancel", which beside "Yes, cancel it" leaves open which of the two cancels.
            const leave = box.querySelector("a[href='#']");
            if (leave) leave.textContent = "Go back";
            const fields = box.querySelectorAll("textarea, select, input:not([type=hidden])");
            const first = box.querySelector(".errors textarea, .errors input") || fields[0] || box.querySelector("button");
            requestAnimationFrame(() => first && first.focus());
        };
        new MutationObserver(enter).observe(box, { childList: true });
        document.addEventListener("htmx:afterSettle", (event) => box.contains(event.target) && enter());
        box.addEventListener("keydown", (event) => {
            if (event.key !== "Tab") return;
            const stops = [...box.querySelectorAll(FOCUSABLE)].filter((stop) => stop.offsetParent);
            const edge = event.shiftKey ? stops[0] : stops[stops.length - 1];
            if (document.activeElement !== edge) return;
            event.preventDefault();
            (event.shiftKey ? stops[stops.length - 1] : stops[0]).focus();
        });
        new MutationObserver(() => {
            if (box.parentElement.style.display === "none" && opener && opener.isConnected) opener.focus();
        }).observe(box.parentElement, { attributes: true, attributeFilter: ["style"] });
    }

    function prepare(root) {
        root.querySelectorAll(CLICKABLE).forEach(makeButton);
    }

    document.addEventListener("DOMContentLoaded", () => {
        landmarks();
        watchDialog();
        prepare(document);
        new MutationObserver((changes) => {
            for (const change of changes) {
                change.addedNodes.forEach((node) => node.nodeType === 1 && prepare(node.parentNode || node));
            }
        }).observe(document.body, { childList: true, subtree: true });
    });
})();
