/* halfbyte: models that listen to a stream of audio, such as speech recognisers, from C.
 *
 *   halfbyte_model* model;
 *   halfbyte_stream* stream;
 *   halfbyte_options options = halfbyte_default_options();
 *   halfbyte_model_open("en-voice.hb", &model);
 *   halfbyte_stream_open(model, &options, &stream);
 *   while (...) {
 *     halfbyte_stream_accept(stream, samples, num_samples);
 *     while (halfbyte_stream_next_event(stream, &event))
 *       if (event.type == HALFBYTE_TEXT) puts(event.text);
 *   }
 *   halfbyte_stream_finish(stream);        // then take the last events as above
 *   halfbyte_stream_close(stream);
 *   halfbyte_model_close(model);
 *
 * Every function that can fail returns a status. Where it is not HALFBYTE_OK, halfbyte_last_error() says in
 * one line what came, what was expected and what to do, and nothing was written to the places for
 * results. No exception crosses this border. Text is UTF-8.
 *
 * Threads: a model may be used by any number of threads at once; a stream by one at a time, and what a second
 * one asks of it meanwhile is refused with HALFBYTE_ERROR_USAGE (closing it then is not allowed). Nothing
 * here keeps a thread or a global state of its own, but for the message of the last error, one per thread.
 */
#ifndef HALFBYTE_H
#define HALFBYTE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define HALFBYTE_API __declspec(dllexport)
#else
#define HALFBYTE_API __attribute__((visibility("default")))
#endif

typedef enum halfbyte_status {
  HALFBYTE_OK = 0,
  HALFBYTE_ERROR_AUDIO = 1,      /* audio that cannot be read, samples that are none */
  HALFBYTE_ERROR_MODEL_FILE = 2, /* a model file that is missing, damaged or of another version */
  HALFBYTE_ERROR_INPUT = 3,      /* a value that the model refuses */
  HALFBYTE_ERROR_USAGE = 4,      /* a setting out of its range, a null pointer, a finished stream */
  HALFBYTE_ERROR_MEMORY = 5,     /* no memory left */
  HALFBYTE_ERROR_INTERNAL = 6    /* anything else: a bug of ours */
} halfbyte_status;

/* Why the last call of this thread that failed did; "" before the first. Valid until the next failure. */
HALFBYTE_API const char* halfbyte_last_error(void);

/* ---- Models ---- */

/* An open model file: memory-mapped, checked, immutable, shared by its streams. */
typedef struct halfbyte_model halfbyte_model;

/* Opens a .hb file. */
HALFBYTE_API halfbyte_status halfbyte_model_open(const char* path, halfbyte_model** model);

/* Its streams may go on; the file is let go with the last of them. Null does nothing. */
HALFBYTE_API void halfbyte_model_close(halfbyte_model* model);

/* Sample rate that the model works at; streams convert others to it. */
HALFBYTE_API int halfbyte_model_sample_rate_hz(const halfbyte_model* model);

/* The name of a way to decode final results that the model offers, its own choice first; null from that
 * number of modes on. Lives as long as the model. */
HALFBYTE_API const char* halfbyte_model_mode(const halfbyte_model* model, size_t number);

/* ---- Streams ---- */

#define HALFBYTE_CHUNK_OF_MODEL (-1) /* the chunk that the model file names */
#define HALFBYTE_FULL_CONTEXT 0      /* every final result from the whole segment */
#define HALFBYTE_NEVER (-1)
#define HALFBYTE_THRESHOLDS_OF_MODEL (-1)

typedef struct halfbyte_options {
  int chunk_ms;            /* a chunk length that the model offers, or one of the two above */
  const char* mode;        /* how final results are decoded, one of the model's; null: its own choice */
  int trailing_silence_ms; /* ends a segment once words were heard; HALFBYTE_NEVER: only its length does */
  int max_segment_ms; /* length at which a segment ends; HALFBYTE_NEVER: the model's, which is the longest */
  int sample_rate_hz; /* of the samples that will be given, 8000 to 192000 */
  int num_best;       /* a text has up to so many hypotheses, 1 to 1000 */
  double min_score;   /* of detections, 0 to 1; HALFBYTE_THRESHOLDS_OF_MODEL: those of the model */
} halfbyte_options;

/* The model's chunk, mode and longest segment, 800 ms, 16000 Hz, one hypothesis, the model's
 * thresholds. */
HALFBYTE_API halfbyte_options halfbyte_default_options(void);

/* One stream of audio: samples in, events out. */
typedef struct halfbyte_stream halfbyte_stream;

/* Starts a stream; null `options` are the default ones. */
HALFBYTE_API halfbyte_status halfbyte_stream_open(halfbyte_model* model, const halfbyte_options* options,
                                                  halfbyte_stream** stream);
HALFBYTE_API void halfbyte_stream_close(halfbyte_stream* stream); /* null does nothing */

/* What may be said from the next segment on, in this one if none of it was heard yet: JSGF, or phrases, one a
 * line, as docs/grammars.md says; null: anything. `name` is for messages, commonly that of its file. */
HALFBYTE_API halfbyte_status halfbyte_stream_set_grammar(halfbyte_stream* stream, const char* name,
                                                         const char* text);

/* Takes in (num_samples,) samples of one channel in [-1, 1), any number of them. The result does not
 * depend on how audio is cut into calls. NaN, infinity and floats of int16 size are refused, and that call
 * then takes in nothing. */
HALFBYTE_API halfbyte_status halfbyte_stream_accept(halfbyte_stream* stream, const float* samples,
                                                    size_t num_samples);

/* No more samples follow: what was still open becomes final. A second call does nothing. */
HALFBYTE_API halfbyte_status halfbyte_stream_finish(halfbyte_stream* stream);

typedef struct halfbyte_word {
  const char* text;
  int64_t start_ms; /* from the first sample of the stream */
  int64_t end_ms;
  double confidence; /* 0 to 1 */
} halfbyte_word;

/* One of the texts that a search found, with its score: a logarithm, larger is likelier. */
typedef struct halfbyte_hypothesis {
  const char* text;
  double score;
} halfbyte_hypothesis;

/* Words that a rule of the grammar stands for. */
typedef struct halfbyte_slot {
  const char* name; /* of the rule */
  const char* text;
} halfbyte_slot;

typedef enum halfbyte_event_type {
  HALFBYTE_TEXT =
      0, /* a partial result of the running segment, which replaces the one before, or its final one */
  HALFBYTE_DETECTION = 1, /* something that the model listens for was heard */
  HALFBYTE_SPEAKER = 2,   /* a speaker has begun or stopped to speak */
  HALFBYTE_ENDPOINT = 3   /* a segment has ended; its final text, if it has one, is next */
} halfbyte_event_type;

/* Fields that an event's type does not have are "", 0 or empty. */
typedef struct halfbyte_event {
  halfbyte_event_type type;
  const char* text;
  int is_final;
  int64_t start_ms;           /* of a text: where the segment starts; of others: when, as end_ms */
  int64_t end_ms;             /* of what has been heard, from the first sample of the stream */
  const halfbyte_word* words; /* of a final text */
  size_t num_words;
  const halfbyte_hypothesis* hypotheses; /* of a text, likeliest first; the first is the text itself */
  size_t num_hypotheses;
  const char* label; /* of a detection, of a speaker, or why a segment ended: "silence", "length", "finish" */
  int is_active;     /* of a speaker: whether he speaks now */
  double score;      /* of a detection or a speaker */
  const halfbyte_slot* slots; /* of a final text under a grammar with rules, outer ones first */
  size_t num_slots;
} halfbyte_event;

/* Takes the oldest event: 1 with `event` filled, 0 if none waits. What it points to lives until the next
 * call of this function, or until the stream is closed. 0, too, while another thread uses the stream. */
HALFBYTE_API int halfbyte_stream_next_event(halfbyte_stream* stream, halfbyte_event* event);

/* ---- WAV files ---- */

/* PCM of 8 to 32 bits, float, mu-law, A-law; channels are averaged. */
typedef struct halfbyte_wav halfbyte_wav;

HALFBYTE_API halfbyte_status halfbyte_wav_open(const char* path, halfbyte_wav** wav);
HALFBYTE_API void halfbyte_wav_close(halfbyte_wav* wav); /* null does nothing */
HALFBYTE_API int halfbyte_wav_sample_rate_hz(const halfbyte_wav* wav);

/* Reads up to `max_samples` samples; `num_samples` becomes their number, 0 at the end of the file. */
HALFBYTE_API halfbyte_status halfbyte_wav_read(halfbyte_wav* wav, float* samples, size_t max_samples,
                                               size_t* num_samples);

#ifdef __cplusplus
}
#endif
#endif
