# The simulated disk alone, so that the storage tests link nothing else of the simulator.
if(NOT TARGET assent_sim_disk)
  assent_library(assent_sim_disk
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/sim_disk.cc
    LINK assent_storage)
endif()
