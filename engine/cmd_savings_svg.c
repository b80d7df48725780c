/* cmd_savings_svg.c - the plot of `weir savings --svg`: what a month costs against the quality
 * kept, a line for each mix with its 95 % band, a dot where the router itself went, the
 * budget as a dashed line. One file without scripts, fonts or links; it reads in light and in
 * dark. */
#include "engine/cmd_savings.h"

#include <errno.h>
#include <stdio.h>

enum {
    WIDTH = 760, HEIGHT = 460, LEFT = 64, RIGHT = 20, TOP = 56, BOTTOM = 112,
    PLOT_WIDTH = WIDTH - LEFT - RIGHT, PLOT_HEIGHT = HEIGHT - TOP - BOTTOM, TICKS = 5,
};

struct plot {
    const struct savings *s;
    FILE *out;
    int64_t cost_max;            /* at the right edge, nano-dollars */
    int32_t kept_min;            /* at the bottom, millionths */
    struct savings_point point[SAVINGS_MIXES_MAX][SAVINGS_POINTS];
};

static int x_of(const struct plot *p, int64_t cost)
{
    return LEFT + (int)savings_part((uint64_t)cost, PLOT_WIDTH, (uint64_t)p->cost_max);
}

static int y_of(const struct plot *p, int32_t kept)
{
    int64_t above = kept - p->kept_min, all = SAVINGS_ONE - p->kept_min;
    return TOP + PLOT_HEIGHT - (int)(above * PLOT_HEIGHT / all);
}

/* A text of the description: the five signs of XML as entities. */
static void put_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '&') (void)fputs("&amp;", out);
        else if (c == '<') (void)fputs("&lt;", out);
        else if (c == '>') (void)fputs("&gt;", out);
        else if (c == '"') (void)fputs("&quot;", out);
        else (void)fputc(c < 0x20 || c == 0x7F ? '?' : c, out);
    }
}

/* Whole dollars with commas. */
static const char *dollars(int64_t nano, char out[32])
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%lld", (long long)(nano / 1000000000));
    size_t n = 0;
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0) out[n++] = ',';
        out[n++] = digits[i];
    }
    out[n] = '\0';
    assert(len > 0 && n < 32);
    return out;
}

/* Plain classes and no variables, which not every viewer knows: ground, ink, faint, rules, then
 * a colour for each mix. */
static const char *const light[] = {"#ffffff", "#1b1f24", "#6f7680", "#e3e6ea", "#0b62b8",
                                    "#b34700", "#2d7d46", "#7b3fa0", "#8a6d00", "#a3324f"};
static const char *const dark[] = {"#15181c", "#e8eaed", "#9aa1ab", "#2c3138", "#6db3ff",
                                   "#ff9d5c", "#6fcf8f", "#c99bf0", "#e3c65b", "#ff8fab"};
enum { GROUND, INK, FAINT, RULE, FIRST_COLOUR };
static_assert(COUNT(light) == FIRST_COLOUR + SAVINGS_MIXES_MAX && COUNT(dark) == COUNT(light),
              "a colour for each mix");

static void put_colours(FILE *out, const char *const *colour)
{
    (void)fprintf(out, ".ground { fill: %s } text { fill: %s } .faint { fill: %s }\n"
                  ".rule { stroke: %s } .budget { stroke: %s; stroke-dasharray: 4 4 }\n",
                  colour[GROUND], colour[INK], colour[FAINT], colour[RULE], colour[FAINT]);
    for (unsigned i = 0; i < SAVINGS_MIXES_MAX; i++) {
        const char *c = colour[FIRST_COLOUR + i];
        (void)fprintf(out, ".l%u { stroke: %s; stroke-width: 2.5; fill: none } "
                      ".b%u { fill: %s; fill-opacity: 0.14 } .d%u { fill: %s; stroke: %s; "
                      "stroke-width: 2 }\n", i, c, i, c, i, c, colour[GROUND]);
    }
}

static void put_frame(const struct plot *p)
{
    char money[32];
    (void)fprintf(p->out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" "
        "font-family=\"system-ui, sans-serif\" font-size=\"12\">\n"
        "<title>What a month costs, and the quality kept</title>\n<style>\n", WIDTH, HEIGHT);
    put_colours(p->out, light);
    (void)fputs("@media (prefers-color-scheme: dark) {\n", p->out);
    put_colours(p->out, dark);
    (void)fprintf(p->out, "}\n</style>\n<rect class=\"ground\" width=\"%d\" height=\"%d\"/>\n",
                  WIDTH, HEIGHT);
    (void)fprintf(p->out, "<text x=\"%d\" y=\"24\" font-size=\"15\" font-weight=\"600\">"
                  "Quality kept against what a month costs</text>\n"
                  "<text x=\"%d\" y=\"42\" class=\"faint\">", LEFT, LEFT);
    put_text(p->out, p->s->cheap[0]);
    (void)fputs(" with a share of the tokens on ", p->out);
    put_text(p->out, p->s->flagship[0]);
    (void)fputs("</text>\n", p->out);
    for (int i = 0; i <= TICKS; i++) {
        int64_t cost = p->cost_max / TICKS * i;
        int32_t kept = p->kept_min + (SAVINGS_ONE - p->kept_min) / TICKS * i;
        int y = y_of(p, kept);
        (void)fprintf(p->out, "<path d=\"M%d %dH%d\" class=\"rule\"/>\n", LEFT, y,
                      WIDTH - RIGHT);
        (void)fprintf(p->out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%d %%</text>\n",
                      LEFT - 8, y + 4, kept / 10000);
        (void)fprintf(p->out, "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\">$%s</text>\n",
                      x_of(p, cost), TOP + PLOT_HEIGHT + 18, i == TICKS ? "end" : "middle",
                      dollars(cost, money));
    }
}

static void put_budget(const struct plot *p)
{
    char money[32];
    if (p->s->budget == 0 || p->s->budget > p->cost_max) return;
    int x = x_of(p, p->s->budget);
    (void)fprintf(p->out, "<path d=\"M%d %dV%d\" class=\"budget\"/>\n"
                  "<text x=\"%d\" y=\"%d\" class=\"faint\">"
                  "budget $%s</text>\n", x, TOP, TOP + PLOT_HEIGHT, x + 6,
                  TOP + PLOT_HEIGHT - 8, dollars(p->s->budget, money));
}

static void put_mix(const struct plot *p, uint32_t index)
{
    const struct savings_mix *mix = &p->s->mix[index];
    const struct savings_point *at = p->point[index];
    int y = HEIGHT - BOTTOM + 44 + 18 * (int)(index % 3), x = LEFT + 320 * (int)(index / 3);
    (void)fprintf(p->out, "<path d=\"M%d %dh18\" class=\"l%u\"/>"
                  "<text x=\"%d\" y=\"%d\">", x, y - 4, index, x + 26, y);
    put_text(p->out, mix->name);
    uint64_t measured = 0;
    for (uint32_t t = 0; t < mix->task_count; t++) {
        if (mix->task[t].measured) measured += mix->task[t].share;
    }
    if (measured < SAVINGS_ONE) {
        (void)fprintf(p->out, " (known for %u %% of its tokens)", (unsigned)(measured / 10000));
    }
    (void)fputs("</text>\n", p->out);
    if (at[0].quality.kept < 0) return;
    (void)fprintf(p->out, "<path class=\"b%u\" d=\"", index);
    for (uint32_t i = 0; i < SAVINGS_POINTS; i++) {
        (void)fprintf(p->out, "%c%d %d", i ? 'L' : 'M', x_of(p, at[i].cost),
                      y_of(p, at[i].quality.high));
    }
    for (uint32_t i = SAVINGS_POINTS; i-- > 0;) {
        (void)fprintf(p->out, "L%d %d", x_of(p, at[i].cost), y_of(p, at[i].quality.low));
    }
    (void)fprintf(p->out, "Z\"/>\n<path class=\"l%u\" d=\"", index);
    for (uint32_t i = 0; i < SAVINGS_POINTS; i++) {
        (void)fprintf(p->out, "%c%d %d", i ? 'L' : 'M', x_of(p, at[i].cost),
                      y_of(p, at[i].quality.kept));
    }
    (void)fputs("\"/>\n", p->out);
}

static void put_auto(const struct plot *p, uint32_t index)
{
    struct savings_auto did;
    savings_auto_of(p->s, &p->s->mix[index], &did);
    if (did.quality.kept < p->kept_min || did.cost > p->cost_max) return;
    (void)fprintf(p->out, "<circle cx=\"%d\" cy=\"%d\" r=\"5\" class=\"d%u\"/>\n",
                  x_of(p, did.cost), y_of(p, did.quality.kept), index);
}

/* Every point, and the edges that hold them all. False: a price is unknown. */
static bool measure(struct plot *p)
{
    const struct price *strong = savings_price(p->s, p->s->flagship[0]);
    const struct price *cheap = savings_price(p->s, p->s->cheap[0]);
    enum { STEP = 50000, THOUSAND = 1000 };
    int64_t unit = THOUSAND * 1000000000ll * TICKS;
    if (!strong || !cheap) return false;
    for (uint32_t m = 0; m < p->s->mix_count; m++) {
        for (uint32_t i = 0; i < SAVINGS_POINTS; i++) {
            struct savings_point *at = &p->point[m][i];
            savings_point_at(p->s, &p->s->mix[m], strong, cheap,
                             (uint64_t)i * SAVINGS_ONE / (SAVINGS_POINTS - 1), at);
            if (at->cost > p->cost_max) p->cost_max = at->cost;
            while (at->quality.kept >= 0 && at->quality.low < p->kept_min) p->kept_min -= STEP;
        }
    }
    p->cost_max = (p->cost_max / unit + 1) * unit;
    if (p->kept_min < 0) p->kept_min = 0;
    return true;
}

int savings_svg(const struct savings *s, const char *path)
{
    struct plot p = {.s = s, .kept_min = SAVINGS_ONE / 2, .cost_max = 1};
    if (!measure(&p)) return -EINVAL;
    p.out = fopen(path, "we");
    if (!p.out) return -errno;
    put_frame(&p);
    put_budget(&p);
    for (uint32_t m = 0; m < s->mix_count; m++) put_mix(&p, m);
    for (uint32_t m = 0; m < s->mix_count; m++) put_auto(&p, m);
    (void)fprintf(p.out, "<text x=\"%d\" y=\"%d\" class=\"faint\">Shaded: 95 %% of what "
                  "the outcomes give when drawn again. Dots: what the router itself chose."
                  "</text>\n</svg>\n", LEFT, HEIGHT - 10);
    int rc = ferror(p.out) ? -EIO : 0;
    if (fclose(p.out) != 0 && rc == 0) rc = -errno;
    return rc;
}
