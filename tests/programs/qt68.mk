# Run by scripts/build-qt68-programs, inside the folder with Qt 6.8: $(OUT)/NAME-qt and
# $(OUT)/NAME-qshm for every program of this directory, and the example. MORE: more flags for the
# compiler and the linker.

qt := $(shell pkg-config --cflags Qt6Core)
flags := -std=c++17 -O2 -g1 -fPIC -Wall -Wextra -Werror -Iinclude -MMD -MP $(qt) $(MORE)
# The loader and the libraries of the folder, by the path that it has outside.
libraries := $(MORE) $(shell pkg-config --libs Qt6Core) -pthread -ldl \
  -Wl,--dynamic-linker=$(TRIXIE)/lib64/$(notdir $(shell ls /lib64/ld-linux-*.so.* /lib/ld-linux-*.so.* 2>/dev/null | head -n 1)) \
  -Wl,--disable-new-dtags -Wl,-rpath,$(TRIXIE)/usr/lib/$(shell gcc -print-multiarch)

programs := $(filter-out face_%,$(patsubst tests/programs/%.cpp,%,$(wildcard tests/programs/*.cpp)))
dropin := $(patsubst cpp/dropin/%.cpp,$(OUT)/objects/dropin_%.o,$(wildcard cpp/dropin/*.cpp)) $(OUT)/objects/qt_object_table.o
# The example is built a third time, with numbers of qshm's.
logic := $(patsubst examples/logic/%.cpp,$(OUT)/objects/logic_%.o,\
  $(filter-out %/kernel_number.cpp,$(wildcard examples/logic/*.cpp)))
logic_instance := $(OUT)/objects/instance_main.o $(OUT)/objects/instance_kernel_number.o \
  $(filter-out %/logic_main.o,$(logic))

all: $(foreach program,$(programs) logic,$(OUT)/$(program)-qt $(OUT)/$(program)-qshm) $(OUT)/logic-instance

$(OUT)/objects/dropin_%.o: cpp/dropin/%.cpp
	g++ $(flags) -fvisibility=hidden -c -o $@ $<
$(OUT)/objects/qt_%.o: cpp/qt/%.cpp
	g++ $(flags) -fvisibility=hidden -c -o $@ $<
$(OUT)/objects/logic_%.o: examples/logic/%.cpp
	g++ $(flags) -c -o $@ $<
$(OUT)/objects/instance_%.o: examples/logic/%.cpp
	g++ $(flags) -DLOGIC_USES_INSTANCE -c -o $@ $<
$(OUT)/objects/%.o: tests/programs/%.cpp
	g++ $(flags) -c -o $@ $<

$(OUT)/logic-qt: $(logic)
	g++ -o $@ $^ $(libraries)
$(OUT)/logic-qshm: $(logic) $(dropin) $(LIB)
	g++ -o $@ $^ $(libraries)
$(OUT)/logic-instance: $(logic_instance) $(LIB)
	g++ -o $@ $^ $(libraries)
$(OUT)/%-qt: $(OUT)/objects/%.o
	g++ -o $@ $^ $(libraries)
$(OUT)/%-qshm: $(OUT)/objects/%.o $(dropin) $(LIB)
	g++ -o $@ $^ $(libraries)

.SECONDARY:
-include $(wildcard $(OUT)/objects/*.d)
